"""One writing process per log: an OS lock that dies with its holder."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class LogInUse(RuntimeError):
    """Another process writes this log."""


class FileLock:
    """Holds ``path`` locked until `release`; raises `LogInUse` at once where somebody else does."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._file, 32, 0).decode().strip() or "?"
            os.close(self._file)
            raise LogInUse(
                f"日志正被进程 {holder} 写入 · process {holder} writes the log in {path.parent}: stop it, or use another folder"
            ) from error
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let others have it."""
        os.close(self._file)
