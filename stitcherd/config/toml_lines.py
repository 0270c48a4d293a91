"""Reads TOML together with the line of every key, which tomllib does not report."""

import re
import tomllib
from bisect import bisect_left
from contextlib import suppress
from datetime import date, time
from typing import Any, NamedTuple

from stitcherd.config.errors import FileFormat, KeyPath

_TYPES: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (str, "text"),
    (bool, "true or false"),
    (int, "a whole number"),
    (float, "a number with a decimal point"),
    (list, "a list"),
    (dict, "a table"),
    ((date, time), "a date or time"),
)

_LISTS = frozenset({"tokens", "notify"})  # tables that a file has any number of, [[tokens]]
_SPACE = re.compile(r"[ \t]*+")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*+)*+")
_KEY = re.compile(r"""[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+'""")
_SCALAR = re.compile(
    r'''"""(?:[^"\\]|\\.|"{1,2}(?!"))*+"{3,5}'''
    r"""|'''(?:[^']|'{1,2}(?!'))*+'{3,5}"""
    r"""|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+'|[^"'\[{,\]}#\n][^,\]}#\n]*+""",
    re.DOTALL,
)


class TomlError(Exception):
    """A text that is not TOML, with the line of the fault."""

    def __init__(self, line: int, message: str) -> None:
        self.line = line
        self.message = message
        super().__init__(message)


class DuplicateKey(NamedTuple):
    """A key or table that is written a second time, and the line of the first time."""

    path: KeyPath
    line: int
    first: int


class KeyLines(NamedTuple):
    """The line of every key, table and element, from 1, and the first duplicate."""

    lines: dict[KeyPath, int]
    duplicate: DuplicateKey | None

    def line(self, path: KeyPath) -> int:
        """Return the line of `path`, or of the innermost table around it that is written in the file."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def parse_toml(content: bytes) -> tuple[dict[str, Any], KeyLines]:
    """Return the document and the lines of its keys; raises TomlError."""
    try:
        text = content.decode()
        return tomllib.loads(text), key_lines(text)
    except UnicodeDecodeError as error:
        raise TomlError(content.count(b"\n", 0, error.start) + 1, "is not UTF-8") from None
    except RecursionError:
        raise TomlError(1, "the values are nested too deeply") from None
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(text, str(error)) from None


def key_lines(text: str) -> KeyLines:
    """Return the lines of all keys; for a text that is not TOML, of those before the first fault. Never fails."""
    scanner = _Scanner(text)
    with suppress(_NotTomlError, RecursionError):
        scanner.document()
    return KeyLines(scanner.lines, scanner.duplicate)


def type_in_words(value: object) -> str:
    """Return the type of a TOML value for people to read; never the value, which may be a secret."""
    return next((words for types, words in _TYPES if isinstance(value, types)), "something else")


def dotted_key(path: KeyPath) -> str:
    """Return a key as it is written in TOML, without the positions in lists: the line shows those."""
    return ".".join(_quoted(key) for key in path if isinstance(key, str))


def table_header(path: KeyPath) -> str:
    """Return a table as its header is written: `[daemon]`, `[[tokens]]`."""
    return f"[[{path[0]}]]" if path and path[0] in _LISTS else f"[{dotted_key(path)}]"


def _name(path: KeyPath) -> str:
    return f"an item of {dotted_key(path)}" if isinstance(path[-1], int) else dotted_key(path)


TOML_FORMAT = FileFormat(
    key=_name,
    mapping=table_header,
    value=type_in_words,
    sentence=lambda path, sentence: f"{dotted_key(path)}: {sentence}",
    lists="a list",
    mappings="a table",
)


def _syntax_error(text: str, complaint: str) -> TomlError:
    where = key_lines(text)
    what, _, place = complaint.rpartition(" (at ")
    found = re.match(r"line (\d+)", place)  # else "end of document", which does not help: use the line of the last key
    line = int(found[1]) if found else _last_key_line(where)
    if (duplicate := where.duplicate) and (duplicate.line <= line or not found):
        message = f"{dotted_key(duplicate.path)} is already defined on line {duplicate.first}"
        return TomlError(duplicate.line, message)
    written = text.split("\n")[line - 1]
    if bare := re.search(r"=\s*([0-9]+\s*[A-Za-z]+)\s*(?:#|$)", written):
        return TomlError(line, f'durations and sizes need quotes: "{"".join(bare[1].split())}"')
    return TomlError(line, f"is not TOML: {what[:1].lower()}{what[1:]}")


def _last_key_line(where: KeyLines) -> int:
    return max((line for path, line in where.lines.items() if isinstance(path[-1], str)), default=1)


def _quoted(key: str) -> str:
    return key if key.isascii() and key.replace("-", "").replace("_", "").isalnum() else f'"{key}"'


class _NotTomlError(Exception):
    pass


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[KeyPath, int] = {}
        self.duplicate: DuplicateKey | None = None
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
            path = self._open_table((*path, key), line)
        path = (*path, keys[-1])
        if is_array:
            self._sizes[path] = self._sizes.get(path, 0) + 1
            path = self._open_table(path, line)
        self._record(path, line)
        self._need("]]" if is_array else "]")
        return path

    def _open_table(self, path: KeyPath, line: int) -> KeyPath:
        """Return the path of the table that a header means: for an array of tables, its last element."""
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
        self._record(path, line)
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

    def _record(self, path: KeyPath, line: int) -> None:
        if path in self._written:
            self.duplicate = self.duplicate or DuplicateKey(path, line, self.lines[path])
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
