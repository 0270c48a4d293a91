"""Builds responses without a server."""

import json
from typing import Any

from multidict import CIMultiDict

from stitcherd.forges.base import Response


def response(status: int = 200, content: Any = None, **headers: str) -> Response:
    """Return a response; underscores in the names of headers stand for hyphens."""
    named = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    text = json.dumps(content) if status >= 400 and content is not None else ""
    return Response(status, named, content, text)
