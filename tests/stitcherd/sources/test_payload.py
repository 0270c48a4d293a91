"""Decoding of bodies: malformed fields are left out and described, all others are read."""

import json
from time import process_time

import pytest
from msgspec import Struct, defstruct, to_builtins
from msgspec.json import Decoder

from stitcherd.sources.base import NotJson
from stitcherd.sources.fields import Ref
from stitcherd.sources.payload import decode_body

FIELDS = 40


class Leaf(Struct, frozen=True):
    """A nested object."""

    name: str | None = None
    ref: Ref | None = None
    number: int | None = None


class Body(Struct, frozen=True):
    """A body with nested objects, one of them in a list."""

    leaf: Leaf | None = None
    leaves: tuple[Leaf, ...] | None = None
    title: str | None = None


Wide = defstruct("Wide", [(f"f{number}", str | None, None) for number in range(FIELDS)])
Outer = defstruct("Outer", [("wide", Wide | None, None), ("title", str | None, None)])


@pytest.mark.parametrize(
    ("body", "read", "faults"),
    [
        (b"{}", {}, {}),
        (
            b'{"leaf": {"name": 5, "number": 1}}',
            {"leaf": {"number": 1}},
            {"$.leaf.name": "expected `str | null`, got `int`"},
        ),
        (b'{"leaf": 5, "title": "x"}', {"title": "x"}, {"$.leaf": "expected `object | null`, got `int`"}),
        (b'{"leaf": {"ref": "-x"}}', {"leaf": {}}, {"$.leaf.ref": "expected a name that a branch can have"}),
        (b'{"leaf": {"number": 1e999}}', {"leaf": {}}, {"$.leaf.number": "number out of range"}),
        (
            b'{"leaf": {"number": %s}, "title": "x"}' % (b"9" * 9000),
            {"leaf": {}, "title": "x"},
            {"$.leaf.number": "integer value out of range"},
        ),
        (
            b'{"leaves": [{"name": "a"}, {"name": 5}], "title": "x"}',
            {"title": "x"},
            {"$.leaves[1].name": "expected `str | null`, got `int`"},
        ),
        (b"[1]", {}, {"$": "expected `object`, got `array`"}),
        (b"null", {}, {"$": "expected `object`, got `null`"}),
        (b'{"title": 5, "title": "x"}', {}, {"$.title": "expected `str | null`, got `int`"}),
        (b'{"leaf": {"name": 5}, "leaf": 7}', {}, {"$.leaf.name": "expected `str | null`, got `int`"}),
        (
            b'{"leaf": {"name": 5}, "leaf": {}, "title": "x"}',
            {"leaf": {}, "title": "x"},
            {"$.leaf.name": "expected `str | null`, got `int`"},
        ),
        (
            b'{"title": 5, "leaf": {"name": 6, "number": "x"}, "big": 1e999, "kept": "\\u0041"}',
            {"leaf": {}},
            {
                "$.title": "expected `str | null`, got `int`",
                "$.leaf.name": "expected `str | null`, got `int`",
                "$.leaf.number": "expected `int | null`, got `str`",
            },
        ),
    ],
)
def test_malformed_fields_are_left_out(body: bytes, read: object, faults: dict[str, str]) -> None:
    decoded = decode_body(Decoder(Body), body, form=False)
    shown = {key: value for key, value in to_builtins(decoded.payload).items() if value is not None}
    if "leaf" in shown:
        shown["leaf"] = {key: value for key, value in shown["leaf"].items() if value is not None}
    assert (shown, decoded.faults) == (read, faults)


@pytest.mark.parametrize(
    "body", [b'{"title": 5', b'{"title": 5, "x": NaN}', b'{"title": 5, "x": "\\ud800"}', b"[1", b'"x']
)
def test_what_is_not_json_is_refused_although_a_field_before_is_malformed(body: bytes) -> None:
    with pytest.raises(NotJson, match=r"^the body is not JSON: "):
        decode_body(Decoder(Body), body, form=False)


def test_many_malformed_fields_end_soon() -> None:
    body = json.dumps({f"f{n}": n for n in range(FIELDS)} | {"filling": "x" * 2**20}).encode()
    began = process_time()
    decoded = decode_body(Decoder(Wide), body, form=False)
    assert process_time() - began < 5
    assert decoded.payload == Wide()
    assert len(decoded.faults) == FIELDS


def test_an_object_with_many_malformed_fields_goes_as_a_whole() -> None:
    inner = {f"f{n}": n for n in range(FIELDS)}
    decoded = decode_body(Decoder(Outer), json.dumps({"wide": inner, "title": "x"}).encode(), form=False)
    assert (decoded.payload, len(decoded.faults)) == (Outer(title="x"), 17)
