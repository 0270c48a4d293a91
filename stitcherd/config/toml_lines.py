"""The line of every key in a TOML text, which tomllib does not tell; judges nothing, and never fails."""

import re
import tomllib
from bisect import bisect_left
from contextlib import suppress
from typing import NamedTuple, TypeAlias

KeyPath: TypeAlias = tuple[str | int, ...]  # ("sources", "github", "secrets", 1, "env")

_SPACE = re.compile(r"[ \t]*+")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*+)*+")
_KEY = re.compile(r"""[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+'""")
_SCALAR = re.compile(
    r'''"""(?:[^"\\]|\\.|"{1,2}(?!"))*+"{3,5}'''
    r"""|'''(?:[^']|'{1,2}(?!'))*+'{3,5}"""
    r"""|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+'|[^"'\[{,\]}#\n][^,\]}#\n]*+""",
    re.DOTALL,
)


class DuplicateKey(NamedTuple):
    """A key or table that was written before."""

    path: KeyPath
    line: int
    first: int


class KeyLines(NamedTuple):
    """The line of every key, table and element, from 1, and the first that stands there twice."""

    lines: dict[KeyPath, int]
    twice: DuplicateKey | None

    def line(self, path: KeyPath) -> int:
        """Return the line of `path`, or of the nearest thing around it that was written."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def key_lines(text: str) -> KeyLines:
    """Return where everything stands; of a text that is not TOML, what stands before its first fault."""
    scanner = _Scanner(text)
    with suppress(_NotTomlError, RecursionError):
        scanner.document()
    return KeyLines(scanner.lines, scanner.twice)


class _NotTomlError(Exception):
    pass


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[KeyPath, int] = {}
        self.twice: DuplicateKey | None = None
        self._newlines = [found.start() for found in re.finditer("\n", text)]
        self._written: set[KeyPath] = set()
        self._sizes: dict[KeyPath, int] = {}  # of arrays of tables

    def document(self) -> None:
        table: KeyPath = ()
        while self._skip(_BLANK) < len(self.text):
            if self._take("[["):
                table = self._header(is_array=True)
            elif self._take("["):
                table = self._header(is_array=False)
            else:
                self._pair(table)

    def _header(self, *, is_array: bool) -> KeyPath:
        line = self._line()
        path: KeyPath = ()
        keys = self._keys()
        for key in keys[:-1]:
            path = self._newest((*path, key), line)
        path = (*path, keys[-1])
        if is_array:
            self._sizes[path] = self._sizes.get(path, 0) + 1
            path = self._newest(path, line)
        self._write(path, line)
        self._need("]]" if is_array else "]")
        return path

    def _newest(self, path: KeyPath, line: int) -> KeyPath:
        """Return the table that `path` stands for in a header: of an array of tables, its last."""
        self.lines.setdefault(path, line)
        return (*path, self._sizes[path] - 1) if path in self._sizes else path

    def _pair(self, table: KeyPath) -> None:
        line = self._line()
        path = table
        keys = self._keys()
        for key in keys[:-1]:
            path = (*path, key)
            self.lines.setdefault(path, line)
        path = (*path, keys[-1])
        self._write(path, line)
        self._need("=")
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        self._skip(_SPACE)
        if self._take("["):
            self._array(path)
        elif self._take("{"):
            self._inline_table(path)
        elif found := _SCALAR.match(self.text, self.at):
            self.at = found.end()
        else:
            raise _NotTomlError

    def _array(self, path: KeyPath) -> None:
        index = 0
        while not self._ends("]"):
            self.lines[*path, index] = self._line()
            self._value((*path, index))
            index += 1

    def _inline_table(self, path: KeyPath) -> None:
        while not self._ends("}"):
            self._pair(path)

    def _ends(self, bracket: str) -> bool:
        self._skip(_BLANK)
        self._take(",")
        self._skip(_BLANK)
        return self._take(bracket)

    def _keys(self) -> list[str]:
        keys = [self._key()]
        while self._take("."):
            keys.append(self._key())
        return keys

    def _key(self) -> str:
        self._skip(_SPACE)
        found = _KEY.match(self.text, self.at)
        if found is None:
            raise _NotTomlError
        self.at = found.end()
        self._skip(_SPACE)
        key = found.group()
        if key[0] not in "\"'":
            return key
        try:
            return str(tomllib.loads(f"key = {key}")["key"])
        except tomllib.TOMLDecodeError:
            raise _NotTomlError from None

    def _write(self, path: KeyPath, line: int) -> None:
        if path in self._written:
            self.twice = self.twice or DuplicateKey(path, line, self.lines[path])
            return
        self._written.add(path)
        self.lines[path] = line

    def _line(self) -> int:
        return bisect_left(self._newlines, self.at) + 1

    def _skip(self, pattern: re.Pattern[str]) -> int:
        if found := pattern.match(self.text, self.at):
            self.at = found.end()
        return self.at

    def _take(self, token: str) -> bool:
        if not self.text.startswith(token, self.at):
            return False
        self.at += len(token)
        return True

    def _need(self, token: str) -> None:
        if not self._take(token):
            raise _NotTomlError
