import json
import re
from pathlib import Path
from typing import Any

import pytest

from stitcherd.config.yaml_nodes import parse_yaml
from stitcherd.gates import BUILTINS
from stitcherd.rails import load
from stitcherd.rails.json_schema import rails_schema, schema_file
from stitcherd.rails.load import RailsError
from tests.stitcherd.rails.contexts import CONTEXT

SCHEMA = rails_schema(BUILTINS)
CONFIG = Path(__file__).parents[3] / "config"


def fits(value: Any, schema: dict[str, Any]) -> bool:
    """Judge by those words of JSON Schema that ours uses; any other is an error."""
    of_keys = {"properties", "patternProperties", "additionalProperties"}
    rest = set(schema) - of_keys - {"$schema", "$defs", "title", "description", "default"}
    if not all(WORDS[word](value, schema[word]) for word in sorted(rest, key=lambda word: word != "type")):
        return False
    return not isinstance(value, dict) or all(key_fits(key, each, schema) for key, each in value.items())


def key_fits(key: str, value: Any, schema: dict[str, Any]) -> bool:
    wanted = [it for name, it in schema.get("properties", {}).items() if name == key]
    wanted += [it for pattern, it in schema.get("patternProperties", {}).items() if re.search(pattern, key)]
    return all(fits(value, it) for it in wanted) and (bool(wanted) or schema.get("additionalProperties", True))


TYPES: dict[str, Any] = {
    "string": str,
    "array": (list, tuple),
    "object": dict,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}
WORDS: dict[str, Any] = {
    "type": lambda value, it: isinstance(value, TYPES[it]) and (it == "boolean") == isinstance(value, bool),
    "anyOf": lambda value, it: any(fits(value, each) for each in it),
    "$ref": lambda value, it: fits(value, SCHEMA["$defs"][it.rpartition("/")[2]]),
    "enum": lambda value, it: value in it,
    "const": lambda value, it: value == it,
    "pattern": lambda value, it: re.search(it, value) is not None,
    "items": lambda value, it: all(fits(each, it) for each in value),
    "required": lambda value, it: set(it) <= set(value),
    "minItems": lambda value, it: len(value) >= it,
    "maxItems": lambda value, it: len(value) <= it,
    "minLength": lambda value, it: len(value) >= it,
    "maxLength": lambda value, it: len(value) <= it,
    "format": lambda _value, it: it == "regex",
    "minimum": lambda value, it: value >= it,
    "maximum": lambda value, it: value <= it,
    "exclusiveMinimum": lambda value, it: value > it,
}


def plain(text: str) -> Any:
    root = parse_yaml(text)
    assert root is not None
    return root.plain()


def test_the_shipped_schema_is_current() -> None:
    renew = "python -m tools.rails_schema > config/rails.schema.json"
    assert (CONFIG / "rails.schema.json").read_bytes() == schema_file(BUILTINS), f"make it anew: {renew}"


def test_files_that_load_fit_the_schema(every_word: str, small: str) -> None:
    for text in (every_word, small, (CONFIG / "rails.yaml").read_text()):
        assert fits(plain(text), SCHEMA)
    assert fits({"version": 1, "guards": None}, SCHEMA)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version: 1", "version: 2"),
        ("mode: enforce", "mode: dry"),
        ("crew:", "cr ew:"),
        ("forge:ann", "ann"),
        ("git:commit]", "git:comit]"),
        ("on: [issue.opened]", "on: []"),
        ("on: [issue.opened]", "on: [issue.closed]"),
        ("command: mend", "command: Mend"),
        ("6/h", "6 an hour"),
        ("per_repo: 1}", "per_repo: 0}"),
        ("max_diff:", "max_dif:"),
        ("from_base: [Makefile]", "from_base: [../Makefile]"),
        ("tries: 2", 'tries: "2"'),
        ("change_from_fork: true", "change_from_fork: 1"),
        ("change_from_fork: true", "draft: 1"),
        ("change_from_fork: true", "merged: true"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit_the_schema_does_not_load(every_word: str, old: str, new: str) -> None:
    text = every_word.replace(old, new, 1)
    assert text != every_word
    assert not fits(plain(text), SCHEMA)
    with pytest.raises(RailsError):
        load.parse_rails(text, CONTEXT)


def test_a_file_with_defaults_means_the_same(every_word: str, small: str) -> None:
    for text in (every_word, small):
        full = load.with_defaults(text)
        assert fits(json.loads(json.dumps(full)), SCHEMA)
        assert full["triggers"][0]["from"]
        assert full["jobs"]["mend"]["on_interrupt"] in {"fail", "retry"}
        assert load.with_defaults(text) == full
