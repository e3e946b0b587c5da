"""A command at a real terminal, with a person who types."""

import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time

PATIENCE = 240
AGAIN = 20
_SIGNS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Typed:
    """A process whose stdin, stdout and stderr are a terminal of its own."""

    def __init__(self, command, cwd):
        self.ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [str(word) for word in command],
            cwd=cwd,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509  # no threads here
            env=os.environ | {"TERM": "xterm", "COLUMNS": "200"},
        )
        os.close(theirs)
        self.shown = ""
        self.seen = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.ours)

    def until(self, text):
        """What is shown from the last such call on until ``text`` is."""
        end = time.monotonic() + PATIENCE
        while text not in self.shown[self.seen :]:
            assert time.monotonic() < end, self.shown
            assert self._read() or text in self.shown[self.seen :], self.shown
        at = self.shown.index(text, self.seen) + len(text)
        part, self.seen = self.shown[self.seen : at], at
        return part

    def type(self, text):
        os.write(self.ours, text.encode())

    def ended(self, pressing=""):
        """Its exit code, after all that it shows.

        Where nothing happens ``pressing`` is typed again, as people do: a Ctrl-C that comes just
        before Python waits for a key is noticed with the next one.
        """
        while self._read(pressing):
            pass
        return self.process.wait(PATIENCE)

    def _read(self, pressing=""):
        end = time.monotonic() + PATIENCE
        while not select.select([self.ours], [], [], AGAIN)[0]:
            assert time.monotonic() < end, self.shown
            self.type(pressing)
        try:
            chunk = os.read(self.ours, 65536)
        except OSError:  # Linux's way to say that the other end is closed
            return False
        self.shown = _SIGNS.sub("", self.shown + chunk.decode(errors="replace"))
        return bool(chunk)


def _take_terminal():
    """Ctrl-C goes to the process, which heeds it: jobs in the background ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
