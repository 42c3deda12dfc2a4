"""密钥库 — one key a person, in one file beside the log (mode 0600), never in the log. Without the key the person is gone."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from threading import Lock

KEY_BYTES = 64
"""AES-SIV with 256 bits takes two keys of 32 bytes."""
BUSY_TIMEOUT_SECONDS = 1.0
"""How long a write waits for somebody else's lock on the file."""


class KeysUnavailable(RuntimeError):
    """The file cannot take or lose a key now (disk full, file locked, input/output error); nothing has changed."""


class KeyStore:
    """Finds, makes and destroys keys; a new key is on the disk before it is given out."""

    def __init__(self, path: Path) -> None:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_SECONDS
        )
        self._connection.executescript(
            "PRAGMA secure_delete=ON; PRAGMA synchronous=FULL;"
            "CREATE TABLE IF NOT EXISTS person_key (person TEXT PRIMARY KEY, key BLOB NOT NULL) WITHOUT ROWID"
        )
        self._lock = Lock()
        self._known: dict[str, bytes] = dict(self._connection.execute("SELECT person, key FROM person_key"))

    def find(self, person: str) -> bytes | None:
        """The person's key; None where they never had one, or it has been destroyed."""
        return self._known.get(person)

    def ensure(self, person: str) -> bytes:
        """The person's key, made now where there is none. Raises `KeysUnavailable`."""
        known = self._known.get(person)
        if known is None:
            with self._lock:
                if (known := self._known.get(person)) is None:
                    known = secrets.token_bytes(KEY_BYTES)
                    self._write("INSERT INTO person_key VALUES (?, ?)", person, known)
                    self._known[person] = known
        return known

    def ensure_all(self, persons: Iterable[str]) -> None:
        """A key for everybody who has none, in one write to the disk. Raises `KeysUnavailable`."""
        with self._lock:
            new = {person: secrets.token_bytes(KEY_BYTES) for person in persons if person not in self._known}
            try:
                with self._connection:
                    self._connection.execute("BEGIN")
                    self._connection.executemany("INSERT INTO person_key VALUES (?, ?)", new.items())
            except sqlite3.Error as error:
                raise KeysUnavailable(str(error)) from error
            self._known |= new

    def destroy(self, person: str) -> bool:
        """删除个人信息 — erase the person everywhere; whether there was something to erase. Raises `KeysUnavailable`."""
        with self._lock:
            self._write("DELETE FROM person_key WHERE person = ?", person)
            return self._known.pop(person, None) is not None

    def _write(self, statement: str, *values: object) -> None:
        try:
            self._connection.execute(statement, values)
        except sqlite3.Error as error:
            raise KeysUnavailable(str(error)) from error

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
