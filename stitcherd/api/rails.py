"""The rails in force, and what is wrong with the newest text of their file."""

from aiohttp import web

from stitcherd.api.answers import answer
from stitcherd.api.asked import Query
from stitcherd.api.house import HOUSE


async def show_rails(request: web.Request) -> web.Response:
    """Answer the rails in force."""
    Query(request)
    return answer(request.app[HOUSE].rails.state())
