"""The JSON Schema of rails.yaml, for editors."""

from collections.abc import Iterable
from typing import Any

import msgspec
from pydantic.json_schema import GenerateJsonSchema

from stitcherd.rails.schema import RailsFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class _WithoutTitles(GenerateJsonSchema):
    """Pydantic's generator, without titles that repeat the names of keys."""

    def field_title_should_be_set(self, _schema: Any) -> bool:
        """Return False for every field."""
        return False


def rails_schema(builtins: Iterable[str]) -> dict[str, Any]:
    """Return the schema of all keys and values, with the names of the built-in gates; it does not check references."""
    schema = RailsFile.model_json_schema(by_alias=True, schema_generator=_WithoutTitles)
    for name, section in schema["properties"].items():
        if "patternProperties" in section:
            section["additionalProperties"] = False  # keys that are not valid names are refused
        if name not in {"version", "mode"}:  # a section may be empty
            default = section.pop("default", None)
            description = schema["$defs"][str(entry_name(section))]["description"]
            optional = {"anyOf": [section, {"type": "null"}], "default": default, "description": description}
            schema["properties"][name] = optional
    builtin = schema["$defs"]["GateSpec"]["properties"]["builtin"]
    builtin["anyOf"][0] = {"enum": list(builtins), "type": "string"}
    return {"$schema": DIALECT, **schema, "title": "Stitcher's rails"}


def entry_name(value: dict[str, Any]) -> str | None:
    """Return the definition that a value refers to: its own, or that of its entries; None for a plain value."""
    for part in (value, *value.get("anyOf", ())):
        for inner in (part, part.get("items", {}), *part.get("patternProperties", {}).values()):
            if "$ref" in inner:
                return str(inner["$ref"]).rpartition("/")[2]
    return None


def schema_file(builtins: Iterable[str]) -> bytes:
    """Return the schema as the content of config/rails.schema.json."""
    return msgspec.json.format(msgspec.json.encode(rails_schema(builtins)), indent=2) + b"\n"
