"""The accounts whose ids are kept, and the acceptance of another id under the same login."""

from typing import Annotated

from aiohttp import web
from pydantic import Field

from shared.api import AccountList
from shared.ids import now_ms
from stitcherd.http.auth import caller, require_operator
from stitcherd.http.requests import RequestBody, parse_body
from stitcherd.http.responses import json_response
from stitcherd.http.state import STATE
from stitcherd.store import accounts


class AcceptBody(RequestBody):
    """The account whose other id is accepted; with an `id`, only if that is the one that was seen last."""

    account: Annotated[str, Field(max_length=300)]
    id: Annotated[str, Field(max_length=20)] | None = None


async def list_accounts(request: web.Request) -> web.Response:
    """Return the accounts whose ids are kept, of the sources of the caller's workspace."""
    state, workspace = request.app[STATE], caller(request).workspace
    sources = {name for name, source in state.settings.sources.items() if workspace == source.workspace}
    async with state.store.reading() as db:
        return json_response(AccountList(await accounts.list_accounts(db, sources if workspace else None)))


async def accept_account(request: web.Request) -> web.Response:
    """Keep the other id that was seen for an account: whoever has it now has the rights of this login."""
    actor, options = require_operator(request), await parse_body(request, AcceptBody)
    state, account = request.app[STATE], options.account.lower()
    source = state.settings.sources.get(account.partition(":")[0])
    workspace = source.workspace if source else None
    accepted = await state.store.write(accounts.accept_change, account, options.id, actor, workspace, now_ms())
    await state.accounts.load()
    return json_response(accepted)
