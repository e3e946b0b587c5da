"""Text as TDS writes it: UTF-16, with its length before it."""

import struct


def utf16(text: str) -> bytes:
    """Two bytes or four per character, no mark in front."""
    return text.encode("utf-16-le")


def short_text(text: str) -> bytes:
    """B_VARCHAR: at most 255 characters."""
    return bytes([len(text)]) + utf16(text)


def long_text(text: str) -> bytes:
    """US_VARCHAR: at most 65,535 characters."""
    return struct.pack("<H", len(text)) + utf16(text)
