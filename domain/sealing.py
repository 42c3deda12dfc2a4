"""Personal data as the log knows it: ciphertext under one person's key. Destroying the key erases the person everywhere."""

from __future__ import annotations

from domain.message import Value


class Sealed(Value):
    """密文 — text that only the edge can read, encrypted with the key of ``person`` (base64)."""

    person: str
    cipher: str
