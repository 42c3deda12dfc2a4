"""Seals personal text with its person's key (AES-SIV, RFC 5297), and opens it for those who may read it.

Deterministic on purpose: the same text in the same field of the same report gives the same bytes, so that a repeated
report can be compared with the first without reading either. Which text it was still cannot be guessed without the key.
"""

from __future__ import annotations

from base64 import b64decode, b64encode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from domain.sealing import Sealed
from infra.keystore import KeyStore

ERASED = "已删除 · erased"
"""What is shown where the person's key has been destroyed."""


def seal(keys: KeyStore, text: str, *, person: str, subject: str, name: str) -> Sealed:
    """Encrypt ``text``, the field ``name`` of ``subject`` (a report or a command), for ``person``."""
    cipher = AESSIV(keys.ensure(person)).encrypt(text.encode(), _context(person, subject, name))
    return Sealed(person=person, cipher=b64encode(cipher).decode())


def unseal(keys: KeyStore, sealed: Sealed, *, subject: str, name: str) -> str:
    """The text, or `ERASED` where the key it was sealed with is gone; whoever was erased may have a new one since."""
    key = keys.find(sealed.person)
    if key is None:
        return ERASED
    try:
        return AESSIV(key).decrypt(b64decode(sealed.cipher), _context(sealed.person, subject, name)).decode()
    except InvalidTag:
        return ERASED


def _context(person: str, subject: str, name: str) -> list[bytes]:
    return [person.encode(), subject.encode(), name.encode()]
