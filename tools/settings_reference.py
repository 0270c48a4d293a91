"""Write docs/stitcherd-reference.md, all keys of stitcherd.toml: python -m tools.settings_reference."""

from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from stitcherd.config.load import LABELS, TABLES
from stitcherd.config.types import ListenAddress
from stitcherd.configuration import SUPPORTED_KINDS
from stitcherd.executors import EXECUTORS
from tools.reference_tables import key_table

FILE = Path(__file__).parents[1] / "docs" / "stitcherd-reference.md"

_HEAD = """\
# All keys of stitcherd.toml

Written by `make man` from the models that validate the file. [config/stitcherd.toml](../config/stitcherd.toml) is one
to begin with, with every default; `stitcher init` writes one for your answers. It is read once, when `stitcherd`
starts, and any other key is refused, with its line: `stitcherd --check`. [forges.md](forges.md) has whole sources and
repositories, [agents.md](agents.md) executors, [notifications.md](notifications.md) the events and placeholders of
`[[notify]]`, [postgresql.md](postgresql.md) that store, and [api.md](api.md#tokens) what the permissions of tokens are.

Durations are written like `"500ms"`, `"30s"`, `"10m"`, `"24h"` or `"90d"`, sizes like `"512KiB"`, `"64MiB"` or
`"1GiB"`. A relative path begins at the directory of the file, and `~` is the home directory. A secret is never in the
file: `{env = "NAME"}` names a variable of the daemon, `{file = "PATH"}` a file. A key that is *required* is so wherever
its table is written.
"""


class _Generator(GenerateJsonSchema):
    """Pydantic's generator, with an address as it is written."""

    def encode_default(self, dft: Any) -> Any:
        """Return a default as a value of JSON."""
        return f"{dft.host}:{dft.port}" if isinstance(dft, ListenAddress) else super().encode_default(dft)


def reference() -> str:
    """Return the page: a table for each of the file."""
    lines = [_HEAD.rstrip("\n")]
    for name, model in TABLES.items():
        schema = model.model_json_schema(by_alias=True, schema_generator=_Generator)
        schema["properties"].pop(LABELS.get(name), None)
        if name in {"sources", "executors"}:
            schema["properties"]["kind"]["enum"] = sorted(getattr(SUPPORTED_KINDS, name))
        lines += ["", f"## {name}", "", schema["description"], "", *key_table(schema, schema)]
        if name == "executors":
            lines += ["", *(_keys_of_kind(kind) for kind in sorted(EXECUTORS))]
    return "\n".join(lines) + "\n"


def _keys_of_kind(kind: str) -> str:
    required, optional = (
        ", ".join(f"`{key}`" for key in sorted(keys))
        for keys in (EXECUTORS[kind].required_keys, EXECUTORS[kind].optional_keys)
    )
    return f"- `{kind}` needs {required}, and takes {optional}."


if __name__ == "__main__":
    FILE.write_text(reference(), "utf-8")
