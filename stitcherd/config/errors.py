"""What is wrong with stitcherd.toml, in words for the person who wrote it."""

import re
import tomllib
from collections.abc import Iterable
from datetime import date, time
from typing import Any, NamedTuple

from pydantic_core import ErrorDetails, PydanticCustomError

from shared.suggest import nearest
from stitcherd.config.toml_lines import KeyLines, KeyPath, key_lines


def unknown_name(noun: str, word: str, known: Iterable[str]) -> str:
    """Return the sentence for a word that is not known, with the nearest that is, or all of them."""
    names = list(known)
    near = nearest(word, names)
    if near is not None:
        return f"unknown {noun} {word[:80]!r} (did you mean {near}?)"
    return f"unknown {noun} {word[:80]!r}: there is {', '.join(names) if names else 'none'}"


_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "tuple_type": "a list",
    "frozen_set_type": "a list",
    "mapping_type": "a table",
    "dict_type": "a table",
    "model_type": "a table",
}
_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (str, "text"),
    (bool, "true or false"),
    (int, "a whole number"),
    (float, "a number with a point"),
    (list, "a list"),
    (dict, "a table"),
    ((date, time), "a date or time"),
)


class SettingsError(Exception):
    """The settings are refused: the first fault by line; `others` holds the rest."""

    def __init__(self, line: int, message: str, others: "tuple[SettingsError, ...]" = ()) -> None:
        self.line = line
        self.message = message
        self.others = others
        super().__init__(f"stitcherd.toml:{line}: {message}")


class ConfigFault(NamedTuple):
    """Something wrong at a place of the document."""

    path: KeyPath
    message: str


def settings_error(faults: Iterable[ConfigFault], where: KeyLines) -> SettingsError:
    """Return the one error that tells of all `faults`, of which there is at least one."""
    (line, message), *rest = sorted({(where.line(path), message) for path, message in faults})
    return SettingsError(line, message, tuple(SettingsError(*each) for each in rest))


def parse_toml(content: bytes) -> tuple[dict[str, Any], KeyLines]:
    """Return the document and where everything in it stands; raises SettingsError at the line of a fault."""
    try:
        text = content.decode()
        return tomllib.loads(text), key_lines(text)
    except UnicodeDecodeError as error:
        raise SettingsError(content.count(b"\n", 0, error.start) + 1, "is not UTF-8") from None
    except RecursionError:
        raise SettingsError(1, "the values are nested too deeply") from None
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(text, str(error)) from None


def _syntax_error(text: str, complaint: str) -> SettingsError:
    where = key_lines(text)
    what, _, place = complaint.rpartition(" (at ")
    found = re.match(r"line (\d+)", place)  # otherwise "end of document", which helps nobody: name the last key
    line = int(found[1]) if found else _last_key(where)
    if (twice := where.twice) and (twice.line <= line or not found):
        return SettingsError(twice.line, f"{_dotted(twice.path)} is written twice, first in line {twice.first}")
    written = text.split("\n")[line - 1]
    if bare := re.search(r"=\s*([0-9]+\s*[A-Za-z]+)\s*(?:#|$)", written):
        return SettingsError(line, f'durations and sizes stand in quotes: "{"".join(bare[1].split())}"')
    return SettingsError(line, f"is not TOML: {what[:1].lower()}{what[1:]}")


def _last_key(where: KeyLines) -> int:
    return max((line for path, line in where.lines.items() if isinstance(path[-1], str)), default=1)


def type_in_words(value: object) -> str:
    """Return what a TOML value is, in words."""
    return next((words for types, words in _KINDS if isinstance(value, types)), "something else")


def unknown_key(table: KeyPath, key: str, known: Iterable[str]) -> ConfigFault:
    """Return the fault of a key that `table` does not have."""
    meant = nearest(key, known)
    hint = f" (did you mean {meant}?)" if meant else ""
    return ConfigFault((*table, key), f"unknown key '{key}' in {_header(table)}{hint}")


def unknown_table(key: str, value: object, known: Iterable[str]) -> ConfigFault:
    """Return the fault of a word at the top of the file that is no table of ours."""
    if not isinstance(value, dict | list):
        return ConfigFault((key,), f"key '{key}' stands outside of every table")
    meant = nearest(key, known)
    hint = f" (did you mean [{meant}]?)" if meant else ""
    return ConfigFault((key,), f"unknown table [{_quoted_key(key)}]{hint}")


def describe_error(path: KeyPath, error: ErrorDetails, known: Iterable[str]) -> ConfigFault:
    """Return a fault that pydantic found; `known` are the keys of the table that `path` is in."""
    path = (*path, *error.get("ctx", {}).get("at", ()))
    if error["type"] == "extra_forbidden":
        return unknown_key(path[:-1], str(path[-1]), known)
    if error["type"] == "missing":
        return ConfigFault(path, f"{_header(path[:-1])} needs {path[-1]}")
    return ConfigFault(path, f"{_dotted(path)}: {_describe_value(path, error)}")


def _describe_value(path: KeyPath, error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    match error["type"]:
        case "literal_error":
            return _choice(error["input"], context["expected"])
        case "greater_than_equal":
            return f"must be at least {context['ge']}"
        case "less_than_equal":
            return f"must be at most {context['le']}"
        case "value_error":
            return str(context["error"])
        case kind if kind in _EXPECTED:
            each = "each " if isinstance(path[-1], int) else ""
            return f"{each}must be {_EXPECTED[kind]}, not {type_in_words(error['input'])}"
        case _:
            return error["msg"]


def _choice(value: object, expected: str) -> str:
    choices = [each.strip("'") for each in expected.replace(" or ", ", ").split(", ")]
    if not isinstance(value, str):
        return f"must be one of {', '.join(choices)}, not {type_in_words(value)}"
    meant = nearest(value, choices)
    return f"'{value}' is not one of {', '.join(choices)}" + (f" (did you mean {meant}?)" if meant else "")


def _header(table: KeyPath) -> str:
    if not table:
        return "the file"
    if table[0] == "tokens":
        return "[[tokens]]"
    return f"[{_dotted(table)}]"


def _dotted(path: KeyPath) -> str:
    """Return a key as it would be written, without the places in lists: the line tells those."""
    return ".".join(_quoted_key(key) for key in path if isinstance(key, str))


def _quoted_key(key: str) -> str:
    return key if key.isascii() and key.replace("-", "").replace("_", "").isalnum() else f'"{key}"'


def invalid_value(message: str, at: KeyPath = ()) -> PydanticCustomError:
    """Return an error to raise from a validator; `at` is where the fault stands inside the validated value."""
    return PydanticCustomError("said", "{message}", {"message": message, "at": at})
