"""Ten listeners of 5,000 events a second: losses, delays, and the CPU use of the daemon.

The cost of writing the events without listeners is measured first and subtracted.
"""

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from aiohttp import web

from shared.ids import now_ms
from stitcherd.http.auth import CALLER, Caller
from stitcherd.http.feed import EventFeed
from stitcherd.http.responses import Handler, problem_middleware
from stitcherd.http.routes import ROUTES
from stitcherd.http.slots import Slots
from stitcherd.http.state import STATE, AppState
from stitcherd.store.db import Db
from stitcherd.store.events import add_events, new_event
from stitcherd.store.sqlite import open_sqlite
from stitcherd.store.store import Store

LISTENERS = 10
PER_SECOND = 5_000
STEP_SECONDS = 0.01
LISTEN = """
import json, socket, sys, time
found, late, rest, want = 0, [], b"", int(sys.argv[2])
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.settimeout(30)
s.sendall(b"GET /events?after=%s HTTP/1.1\\r\\nHost: d\\r\\n\\r\\n" % sys.argv[3].encode())
last, order = 0, True
while found < want:
    rest += s.recv(262144)
    now = time.time()
    *frames, rest = rest.split(b"\\n\\n")
    for frame in frames:
        at = frame.find(b"data: {")
        if at < 0: continue
        event = json.loads(frame[at + 6:]); found += 1
        order = order and event["id"] > last; last = event["id"]
        late.append((now - event["payload"]["at"]) * 1000)
late.sort()
print(json.dumps({"found": found, "order": order, "p50": late[len(late)//2], "p99": late[int(len(late)*.99)]}))
"""


def measure(options: Namespace) -> list[dict[str, Any]]:
    idle, streamed = (asyncio.run(_run(options.seconds, listeners)) for listeners in (0, LISTENERS))
    return [{**streamed, "cpu_percent": round(streamed["cpu_percent"] - idle["cpu_percent"], 1)}]


async def _run(seconds: float, count: int) -> dict[str, Any]:
    # Only the route of the stream, without the rest of the daemon: this process writes the events.
    place = Path(tempfile.mkdtemp(prefix="stitcher-bench-"))
    store = await open_sqlite(place / "stitcher.db")
    feed = EventFeed(store)
    following = asyncio.create_task(feed.run())
    server = await _serve_stream(store, feed, place / "s")
    wanted = int(seconds * PER_SECOND)
    argv = [sys.executable, "-c", LISTEN, str(place / "s"), str(wanted), "0"]
    listeners = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    await asyncio.sleep(1.5)
    before, started, made = time.process_time(), time.perf_counter(), 0
    while made < wanted:
        due = min(int((time.perf_counter() - started) * PER_SECOND), wanted) - made
        await store.write(_add_events, due)
        made += due
        await asyncio.sleep(STEP_SECONDS)
    spent, cpu = time.perf_counter() - started, time.process_time() - before
    results = [json.loads((await asyncio.to_thread(each.communicate))[0]) for each in listeners]
    feed.close()
    following.cancel()
    await server.cleanup()
    await store.close()
    shutil.rmtree(place)
    return {
        "events_per_second": round(made / spent),
        "lost": sum(wanted - each["found"] for each in results),
        "in_order": all(each["order"] for each in results),
        "p50_ms": round(max((each["p50"] for each in results), default=0), 1),
        "p99_ms": round(max((each["p99"] for each in results), default=0), 1),
        "cpu_percent": cpu / spent * 100,
    }


@web.middleware
async def _as_operator(request: web.Request, handler: Handler) -> web.StreamResponse:
    request[CALLER] = Caller("bench", None, None)  # the listeners are our children, which the daemon would refuse
    return await handler(request)


async def _serve_stream(store: Store, feed: EventFeed, path: Path) -> web.AppRunner:
    app = web.Application(middlewares=[problem_middleware, _as_operator])
    app[STATE] = cast(
        "AppState", SimpleNamespace(store=store, feed=feed, streams=Slots("event streams", each=1, total=1000))
    )
    (route,) = (route for route in ROUTES if route.path == "/events")
    app.router.add_get("/events", route.__call__, allow_head=False)
    server = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await server.setup()
    await web.UnixSite(server, str(path)).start()
    return server


def _add_events(db: Db, count: int) -> None:
    at = time.time()
    for _ in range(count):
        add_events(db, new_event("step.output", actor="bench", now=now_ms(), payload={"at": at, "text": "x" * 150}))
