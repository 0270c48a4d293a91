"""Write docs/rails-reference.md, all keys of rails.yaml, from its schema: python -m tools.rails_reference."""

from pathlib import Path
from typing import Any

from stitcherd.gates import BUILTINS
from stitcherd.rails.json_schema import entry_name, rails_schema
from tools.reference_tables import key_table

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


def reference() -> str:
    """Return the page: a table of the keys of the file, and one for each section."""
    schema = rails_schema(BUILTINS)
    plain = {name: each for name, each in schema["properties"].items() if entry_name(each) is None}
    sections = {name: each for name, each in schema["properties"].items() if name not in plain}
    lines = [_HEAD, *key_table({**schema, "properties": plain}, schema)]
    for name, section in sections.items():
        definition = schema["$defs"][str(entry_name(section))]
        lines += ["", f"## {name}", "", f"{_form(name, section)} {section['description']}", ""]
        lines += key_table(definition, schema)
    return "\n".join(lines) + "\n"


def _form(name: str, section: dict[str, Any]) -> str:
    value = section["anyOf"][0]
    if value.get("type") == "array":
        return f"`{name}: [{{…}}, …]`"
    return f"`{name}: {{NAME: {{…}}, …}}`" if "patternProperties" in value else f"`{name}: {{…}}`"


if __name__ == "__main__":
    FILE.write_text(reference(), "utf-8")
