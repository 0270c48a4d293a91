"""Untrusted text on the terminal, floods of malformed requests, and connections that never send a whole one."""

import asyncio
import json
import unicodedata
from typing import Any

import pytest

from bench.malformed import Sender, cases
from bench.raw_requests import send_raw
from bench.slow_clients import hold, raise_descriptor_limit
from tests.e2e.harness import DaemonHarness
from tests.e2e.webhooks import SECRETS, comment_body

ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202egnp.exe\u2066"
COUNT = 1000
SLOW = 1500  # connections: more than the daemon keeps open in all


def harmless(text: str) -> bool:
    """Say whether a terminal would obey nothing in a text but line ends and tabs."""
    return not any(unicodedata.category(each) in {"Cc", "Cf", "Zl", "Zp"} for each in text if each not in "\n\t")


def test_no_verb_prints_escape_sequences_of_others(daemon: DaemonHarness) -> None:
    document = json.loads(comment_body(f"@mosaic free true {ESCAPES}", issue=77))
    document["issue"] |= {"title": ESCAPES, "labels": [{"name": ESCAPES}]}
    response = daemon.github(json.dumps(document).encode()).json
    assert response["verdict"] == "allowed"
    odd = json.loads(comment_body("x", issue=78)) | {"action": ESCAPES}
    ignored = daemon.github(json.dumps(odd).encode()).json
    assert ESCAPES in ignored["reason"]
    job_id = daemon.dispatch("free", "printf '\\033[2J\\033]0;owned\\007'; true", agentTaskId="\u202egnp.exe")
    for each in (response["jobId"], job_id):
        daemon.wait(each)
    assert daemon.job(response["jobId"])["thread"]["title"] == "gnp.exe"
    assert r"\x1b[2J" in daemon.cli("deliveries", "show", ignored["deliveryId"]).stdout  # it is there to be seen
    for words in (
        ["ls"],
        ["show", response["jobId"]],
        ["show", job_id],
        ["tail", job_id],
        ["tail", response["jobId"]],
        ["why", response["jobId"]],
        ["why", ignored["deliveryId"]],
        ["deliveries", "ls"],
        ["deliveries", "show", ignored["deliveryId"]],
        ["deliveries", "replay", ignored["deliveryId"], "--dry-run"],
        ["cancel", ESCAPES],
        ["ls", f'"{ESCAPES}"'],
    ):
        for form in ([], ["--json"]):
            done = daemon.cli(*words, *form)
            assert "Traceback" not in done.stderr, (words, done.stderr)
            assert harmless(done.stdout), (words, form, done.stdout)
            assert harmless(done.stderr), (words, form, done.stderr)


@pytest.mark.parametrize("api", [False, True])
def test_a_flood_does_not_harm_the_daemon(daemon: DaemonHarness, api: bool) -> None:
    async def flood() -> list[str]:
        rest, faults = cases(2, COUNT, Sender("github", SECRETS["github"].encode()), api=api), list[str]()

        async def client() -> None:
            for case in rest:
                opened = asyncio.open_unix_connection if api else asyncio.open_connection
                place = (daemon.socket,) if api else ("127.0.0.1", daemon.port)
                answer = await send_raw(*await opened(*place), case.pieces, case.ending)
                faults.extend([f"{case}: {answer.fault}"] if answer.fault else [])

        await asyncio.gather(*(client() for _ in range(8)))
        return faults

    pid = daemon.get("/meta")["pid"]
    assert asyncio.run(flood()) == []
    assert "Traceback" not in daemon.log_tail(500)
    assert daemon.get("/meta")["pid"] == pid
    assert daemon.comment("A remark.").status == 200


def test_slow_connections_keep_nobody_out(daemon: DaemonHarness) -> None:
    async def hold_and_send() -> dict[str, Any]:
        holding = asyncio.create_task(hold(daemon.port, SLOW, seconds=1.0))
        while not holding.done():
            reply = await asyncio.to_thread(daemon.comment, "A remark.")
            assert reply.status == 200
        return await holding

    raise_descriptor_limit(SLOW)
    pid = daemon.get("/meta")["pid"]
    found = asyncio.run(hold_and_send())
    assert found["faults"] == []
    assert found["answers"]["closed"] + found["answers"]["kept"] == SLOW
    assert "Traceback" not in daemon.log.read_text()
    assert daemon.get("/meta")["pid"] == pid
