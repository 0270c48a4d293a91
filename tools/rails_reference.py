"""Write docs/rails-reference.md, all keys of rails.yaml, from its schema: python -m tools.rails_reference."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stitcherd.gates import BUILTINS
from stitcherd.rails.json_schema import entry_name, rails_schema

FILE = Path(__file__).parents[1] / "docs" / "rails-reference.md"

_HEAD = """\
# All keys of rails.yaml

Written by `make man` from the schema, which is also that of [config/rails.schema.json](../config/rails.schema.json) for
editors. [rails.md](rails.md) says what the events of forges are, how accounts are recognised, and what is reported;
[security.md](security.md) what a sandbox enforces. Any other key is refused.

Durations are written like `500ms`, `30s`, `10m`, `24h` or `90d`, sizes like `512KiB`, `64MiB` or `1GiB`, rates like
`6/h` (`s`, `m`, `h`, `d`). In globs `*` matches anything, also `/`. A key that is *required* is so wherever its section
or entry is written.
"""
_TYPES = {"string": "text", "integer": "number", "number": "number", "boolean": "`true`, `false`"}


def reference() -> str:
    """Return the page: a table of the keys of the file, and one for each section."""
    schema = rails_schema(BUILTINS)
    plain = {name: each for name, each in schema["properties"].items() if entry_name(each) is None}
    sections = {name: each for name, each in schema["properties"].items() if name not in plain}
    lines = [_HEAD, *_table({**schema, "properties": plain}, schema)]
    for name, section in sections.items():
        definition = schema["$defs"][str(entry_name(section))]
        lines += ["", f"## {name}", "", f"{_form(name, section)} {section['description']}", ""]
        lines += _table(definition, schema)
    return "\n".join(lines) + "\n"


def _form(name: str, section: dict[str, Any]) -> str:
    value = section["anyOf"][0]
    if value.get("type") == "array":
        return f"`{name}: [{{…}}, …]`"
    return f"`{name}: {{NAME: {{…}}, …}}`" if "patternProperties" in value else f"`{name}: {{…}}`"


def _table(definition: dict[str, Any], schema: dict[str, Any]) -> Iterator[str]:
    yield "| key | takes | default | meaning |"
    yield "|---|---|---|---|"
    for path, value, required in _keys(definition, schema, ""):
        default = "*required*" if required else _default(value.get("default"))
        cells = (f"`{path}`", _takes(value), default, value["description"])
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _keys(
    definition: dict[str, Any], schema: dict[str, Any], prefix: str
) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Yield each key with the path to it, its value, and whether it is required; those of tables inside one, too."""
    for name, value in definition["properties"].items():
        inner = entry_name(value)
        if inner is None:
            yield prefix + name, value, name in definition.get("required", ())
        else:
            yield from _keys(schema["$defs"][inner], schema, f"{prefix}{name}.")


def _takes(value: dict[str, Any]) -> str:
    """Return in words what a key takes."""
    if "anyOf" in value:
        return " or ".join(_takes(each) for each in value["anyOf"] if each.get("type") != "null")
    if "enum" in value or "const" in value:
        return ", ".join(f"`{each}`" for each in value.get("enum", ["true"]))
    if value["type"] == "array":
        items = value["items"]
        return f"a list of {_takes(items)}" if "enum" in items else "a list of texts"
    if "maximum" in value and value["type"] == "integer":
        least = value.get("minimum", value.get("exclusiveMinimum"))
        return f"{least}" if least == value["maximum"] else f"{least} to {value['maximum']}"
    return _TYPES[value["type"]]


def _default(value: Any) -> str:
    if value in (None, []):
        return ""
    return f"`{json.dumps(value) if isinstance(value, (bool, list)) else value}`"


if __name__ == "__main__":
    FILE.write_text(reference(), "utf-8")
