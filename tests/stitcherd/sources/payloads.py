"""Stored deliveries by kind and name, edits of their fields, and the larger corpus of real deliveries."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from multidict import CIMultiDict

from stitcherd.sources import SOURCES
from stitcherd.sources.trigger import Trigger

DELIVERIES = Path(__file__).parents[2] / "deliveries"
CORPUS = Path(__file__).parents[3].parent / "shared" / "payloads"
SECRET = b"It's a Secret to Everybody"  # of the corpus

corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of real deliveries is not part of the project")


def delivery(kind: str, name: str) -> Any:
    """Return the body of a stored delivery."""
    return json.loads((DELIVERIES / kind / f"{name}.json").read_text())


def edited(kind: str, name: str, edits: Mapping[str, Any]) -> Any:
    """Return the body of a stored delivery with the values at some JSON pointers replaced."""
    body = delivery(kind, name)
    for pointer, value in edits.items():
        put(body, pointer, value)
    return body


def read_github(name: str, body: Any = None, bot: str | None = "mosaic") -> Trigger:
    """Return the trigger of a stored delivery of GitHub, or of another body of the same event."""
    headers = CIMultiDict({"x-github-event": name.partition(".")[0]})
    content = json.dumps(delivery("github", name) if body is None else body).encode()
    return SOURCES["github"].parse(headers, content, source="work", bot=bot)


def put(body: Any, pointer: str, value: Any) -> None:
    """Replace the value at a JSON pointer."""
    *path, last = (int(part) if part.isdigit() else part for part in pointer.strip("/").split("/"))
    for part in path:
        body = body[part]
    body[last] = value


def real_delivery(path: Path) -> tuple[CIMultiDict[str], bytes]:
    """Return the headers and the body of a delivery of the corpus."""
    return CIMultiDict(json.loads(path.with_suffix(".headers.json").read_text())), path.read_bytes()


def hostile_case(name: str) -> tuple[CIMultiDict[str], bytes]:
    """Return the headers and the body of a delivery of the corpus after one of its mutations."""
    cases = {each["id"]: each for each in json.loads((CORPUS / "mutations.json").read_text())}
    headers, raw = real_delivery(CORPUS.parent / cases[name]["base"])
    body = json.loads(raw)
    for pointer, value in cases[name]["set"].items():
        put(body, pointer, value)
    headers.update(cases[name]["headers"])
    return headers, json.dumps(body).encode()
