"""Writes tables of keys in Markdown, with what each takes, its default and its meaning, from a JSON Schema."""

import json
from collections.abc import Iterator
from typing import Any

from shared import units
from stitcherd.rails.json_schema import entry_name

_TYPES = {"string": "text", "integer": "number", "number": "number", "boolean": "`true`, `false`"}
_FORMATS = {
    "address": "an address and a port",
    "duration": "a duration",
    "path": "a path",
    "secret": "a secret",
    "size": "a size",
    "uri": "a URL",
}


def key_table(definition: dict[str, Any], schema: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of the table of all keys of a definition of a schema."""
    yield "| key | takes | default | meaning |"
    yield "|---|---|---|---|"
    for path, value, required in _keys(definition, schema, ""):
        default = "*required*" if required else _default(value)
        cells = (f"`{path}`", _takes(value), default, value["description"])
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _keys(
    definition: dict[str, Any], schema: dict[str, Any], prefix: str
) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Yield each key with the path to it, its value, and whether it is required; those of tables inside one, too."""
    for name, value in definition["properties"].items():
        inner = entry_name(value)
        if inner is None:
            yield prefix + name, value, name in definition.get("required", ()) and "default" not in value
        else:
            yield from _keys(schema["$defs"][inner], schema, f"{prefix}{name}.")


def _takes(value: dict[str, Any]) -> str:
    """Return in words what a key takes."""
    if "anyOf" in value:
        return " or ".join(_takes(each) for each in value["anyOf"] if each.get("type") != "null")
    if "enum" in value or "const" in value:
        return ", ".join(f"`{each}`" for each in value.get("enum", ["true"]))
    if value["type"] == "array":
        return f"a list of {_items(value['items'])}"
    if "maximum" in value and value["type"] == "integer":
        least = value.get("minimum", value.get("exclusiveMinimum"))
        return f"{least}" if least == value["maximum"] else f"{least} to {value['maximum']}"
    return _FORMATS.get(value.get("format", ""), _TYPES[value["type"]])


def _items(value: dict[str, Any]) -> str:
    if "enum" in value:
        return _takes(value)
    if value.get("type") == "array":
        return f"lists of {_items(value['items'])}"
    return f"{_takes(value).removeprefix('a ')}s" if value.get("format") == "secret" else "texts"


def _default(value: dict[str, Any]) -> str:
    default = value.get("default")
    if default in (None, []):
        return ""
    if value.get("format") == "duration" and not isinstance(default, str):
        default = _amount(default, units.SECONDS)
    if value.get("format") == "size" and not isinstance(default, str):
        default = _amount(default, units.BYTES)
    return f"`{json.dumps(default) if isinstance(default, (bool, list)) else default}`"


def _amount(number: float, sizes: dict[str, float] | dict[str, int]) -> str:
    """Return a number with the largest unit that it is a multiple of."""
    unit = max((unit for unit in sizes if number % sizes[unit] == 0), key=sizes.__getitem__)
    return f"{number / sizes[unit]:.0f}{unit}"
