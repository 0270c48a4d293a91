"""The JSON Schema of rails.yaml, for editors; run as a program, it prints the file that is shipped."""

import sys
from functools import cache
from typing import Any

import msgspec
from pydantic.json_schema import GenerateJsonSchema

from stitcherd.rails.schema import RailsFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class _WithoutTitles(GenerateJsonSchema):
    """Pydantic's own, but for titles that say a key's name once more."""

    def field_title_should_be_set(self, _schema: Any) -> bool:
        """Say no."""
        return False


@cache
def rails_schema() -> dict[str, Any]:
    """Return the schema: the words and their shapes; that names exist where they are used it cannot say."""
    schema = RailsFile.model_json_schema(by_alias=True, schema_generator=_WithoutTitles)
    for name, section in schema["properties"].items():
        if "patternProperties" in section:
            section["additionalProperties"] = False  # what is no name is refused
        if name not in {"version", "mode"}:  # a section may be left empty
            default = section.pop("default", None)
            schema["properties"][name] = {"anyOf": [section, {"type": "null"}], "default": default}
    return {"$schema": DIALECT, **schema, "title": "Stitcher's rails"}


def schema_file() -> bytes:
    """Return the schema as it stands in config/rails.schema.json."""
    return msgspec.json.format(msgspec.json.encode(rails_schema()), indent=2) + b"\n"


if __name__ == "__main__":
    sys.stdout.buffer.write(schema_file())
