"""A table in a text file: where it is compressed, how it is encoded and delimited is found out where nobody says so."""

from __future__ import annotations

import codecs
import csv
import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO, cast

from infra.importing.faults import UnusableHistory

GZIP = b"\x1f\x8b"
UTF8 = "utf-8-sig"
"""With or without a byte order mark."""
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
DELIMITERS = (",", ";", "\t", "|")
CHUNK_BYTES = 1 << 20
PROGRESS_EVERY = 2000

Told = Callable[[int, int], None]
"""Told (rows so far, rows of the whole file, estimated)."""


class Table:
    """Header and rows of ``path``. Raises `UnusableHistory` where that is no table; `OSError`."""

    def __init__(self, path: Path, encoding: str | None = None, delimiter: str | None = None) -> None:
        if not path.is_file():
            raise UnusableHistory(f"{path} 不是文件 · is not a file")
        self.path = path
        with self._failing_in_words():
            self.encoding = encoding or self._detect_encoding()
            with self._text() as (text, _):
                line = next(filter(str.strip, text), "")
        self.delimiter = delimiter or max(DELIMITERS, key=lambda each: len(_cells(line, each)))
        if len(self.delimiter) != 1:
            raise UnusableHistory(f"分隔符须为一个字符 · a delimiter is one character, not {self.delimiter!r}")
        self.header = [name.strip() for name in _cells(line, self.delimiter)]
        if not any(self.header):
            raise UnusableHistory(f"{path} 没有表头 · has no header: its first line must name the columns")

    def rows(self, told: Told = lambda _, __: None) -> Iterator[tuple[int, list[str]]]:
        """(line at which it begins, cells) of every row after the header; empty lines are none."""
        size = self.path.stat().st_size
        with self._failing_in_words(), self._text() as (text, file):
            reader = csv.reader(text, delimiter=self.delimiter)
            next(cells for cells in reader if any(map(str.strip, cells)))
            number, line = 0, reader.line_num + 1
            for cells in reader:
                if cells:
                    number += 1
                    yield line, cells
                    if number % PROGRESS_EVERY == 0:
                        told(number, number * size // file.tell())
                line = reader.line_num + 1
            told(number, number)

    @contextmanager
    def _bytes(self) -> Iterator[tuple[BinaryIO, BinaryIO]]:
        """The content, and the file whose position tells how far we are."""
        with self.path.open("rb") as file:
            compressed = file.peek(len(GZIP)).startswith(GZIP)
            yield cast("BinaryIO", gzip.GzipFile(fileobj=file)) if compressed else file, file

    @contextmanager
    def _text(self) -> Iterator[tuple[TextIOWrapper, BinaryIO]]:
        with self._bytes() as (content, file), TextIOWrapper(content, encoding=self.encoding, newline="") as text:
            yield text, file

    def _detect_encoding(self) -> str:
        """UTF-8 where all bytes are; otherwise the encoding of Chinese exports."""
        decoder = codecs.getincrementaldecoder("utf-8")()
        with self._bytes() as (content, _):
            first = chunk = content.read(CHUNK_BYTES)
            try:
                while chunk:
                    decoder.decode(chunk)
                    chunk = content.read(CHUNK_BYTES)
                decoder.decode(b"", final=True)
            except UnicodeDecodeError:
                return "utf-16" if first.startswith(UTF16) else "gb18030"
        return UTF8

    @contextmanager
    def _failing_in_words(self) -> Iterator[None]:
        try:
            yield
        except UnicodeError as error:
            raise UnusableHistory(
                f"{self.path} 不是 {self.encoding} 文本 · is not {self.encoding} text ({error}): say --encoding"
            ) from error
        except LookupError as error:
            raise UnusableHistory(f"{self.path}: {error}") from error
        except csv.Error as error:
            raise UnusableHistory(f"{self.path} 不是表格 · is no table: {error}") from error
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise UnusableHistory(f"{self.path} 压缩数据已损坏 · its gzip data is damaged: {error}") from error


def _cells(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter), [])
