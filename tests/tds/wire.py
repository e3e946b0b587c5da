"""Packets of TDS over a socket, in plain or inside TLS."""

import select
import socket
import ssl
import struct

PRELOGIN, LOGIN7, BATCH, ATTENTION, REPLY = 0x12, 0x10, 0x01, 0x06, 0x04
HEADER_BYTES = 8
_LAST = 0x01


class ConnectionOverError(ConnectionError):
    """The connection has ended, or is to end here."""


class Wire:
    """One connection's messages: each is cut into packets of ``packet_bytes`` at most."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = bytearray()
        self._tls: ssl.SSLObject | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._allowance: int | None = None
        self.packet_bytes = 4096
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def read(self) -> tuple[int, bytes]:
        """The next message: its type and body. ``ConnectionOverError`` at the end."""
        body = bytearray()
        while True:
            kind, status, length = struct.unpack(">BBH", self._read_bytes(HEADER_BYTES)[:4])
            body += self._read_bytes(length - HEADER_BYTES)
            if status & _LAST:
                return kind, bytes(body)

    def send(self, body: bytes) -> None:
        """One whole message."""
        self._send_packets(memoryview(body), ends=True)

    def send_part(self, body: bytes) -> bytes:
        """The full packets at the beginning of a message; returns the rest of ``body``."""
        room = self.packet_bytes - HEADER_BYTES
        full = len(body) // room * room
        self._send_packets(memoryview(body)[:full], ends=False)
        return body[full:]

    def flush(self, body: bytes) -> None:
        """The beginning of a message, although the last packet is not full."""
        self._send_packets(memoryview(body), ends=False)

    def cut_after(self, count: int | None) -> None:
        """Hang up once so many more bytes are sent; None: never."""
        self._allowance = count

    def encrypt(self, context: ssl.SSLContext) -> None:
        """Shake hands. TDS carries the records of the handshake inside PRELOGIN packets."""
        tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        finished = False
        while not finished:
            try:
                tls.do_handshake()
                finished = True
            except ssl.SSLWantReadError:
                pass
            if records := self._outgoing.read():
                self._socket.sendall(_header(PRELOGIN, _LAST, len(records), 0) + records)
            if not finished:
                self._incoming.write(self.read()[1])
        self._tls = tls

    def wait(self, seconds: float) -> None:
        """Say nothing for so long, or until the other side moves (or goes)."""
        select.select([self._socket], [], [], seconds)

    def close(self, reset: bool = False) -> None:
        """Close; with ``reset`` without a farewell, as a dying machine would."""
        if reset:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def _send_packets(self, body: memoryview, ends: bool) -> None:
        room = self.packet_bytes - HEADER_BYTES
        starts = range(0, len(body), room) or ([0] if ends else [])
        packets: list[bytes | memoryview] = []
        for number, start in enumerate(starts):
            part = body[start : start + room]
            last = ends and start + room >= len(body)
            packets += [_header(REPLY, _LAST if last else 0, len(part), number), part]
        self._write(b"".join(packets))

    def _read_bytes(self, count: int) -> bytes:
        while len(self._buffer) < count:
            if self._tls is None:
                self._buffer += self._receive()
                continue
            try:
                self._buffer += self._tls.read(65536)
            except ssl.SSLWantReadError:
                self._incoming.write(self._receive())
        out = bytes(self._buffer[:count])
        del self._buffer[:count]
        return out

    def _receive(self) -> bytes:
        received = self._socket.recv(65536)
        if not received:
            raise ConnectionOverError
        return received

    def _write(self, data: bytes) -> None:
        if self._tls is not None and data:
            self._tls.write(data)
            data = self._outgoing.read()
        if self._allowance is None:
            self._socket.sendall(data)
            return
        self._socket.sendall(data[: self._allowance])
        self._allowance -= len(data)
        if self._allowance <= 0:
            raise ConnectionOverError


def _header(kind: int, status: int, length: int, number: int) -> bytes:
    return struct.pack(">BBHHBB", kind, status, length + HEADER_BYTES, 51, number & 255, 0)
