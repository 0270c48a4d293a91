"""A copy of the database in a file on the daemon's machine, which the operator asks for."""

from pathlib import Path
from typing import Annotated

from aiohttp import web
from pydantic import Field

from shared.api import Backup
from stitcherd.errors import Refusal
from stitcherd.http.auth import require_operator
from stitcherd.http.requests import RequestBody, parse_body
from stitcherd.http.responses import json_response
from stitcherd.http.state import STATE
from stitcherd.store.errors import StorageUnavailable


class BackupBody(RequestBody):
    """Where the copy is to be: an absolute path at which there is nothing."""

    path: Annotated[str, Field(min_length=1, max_length=4096)]


async def make_backup(request: web.Request) -> web.Response:
    """Copy the database to a new file, beside all other work."""
    require_operator(request)
    path = (await parse_body(request, BackupBody)).path
    if not path.startswith("/") or "\0" in path:
        raise Refusal("invalid", f"path: {path!r} is no absolute path")
    try:
        size = await request.app[STATE].store.back_up(Path(path))
    except FileExistsError:
        raise Refusal("conflict", f"{path} exists already", "name a file that does not exist") from None
    except (OSError, UnicodeError, StorageUnavailable) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        code = "invalid" if isinstance(error, OSError | UnicodeError) else "storage_unavailable"
        raise Refusal(code, f"no backup was made at {path}: {reason}") from None
    return json_response(Backup(path, size), 201)
