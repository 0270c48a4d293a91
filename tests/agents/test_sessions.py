"""Lets a second try of the real programs go on in the session of the first, and begin anew without it."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from stitcherd.executors.base import PreviousTry
from tests.agents.apis import INPUT, OUTPUT
from tests.agents.model import serve
from tests.agents.programs import GEMINI, NEEDS_SANDBOX, Agent, each_agent
from tests.stitcherd.executors.openclaw.recording_sink import RecordingSink

pytestmark = pytest.mark.agents
PROMPT = "Fix what is described below. " + "It has many words. " * 40
NEWS = "This is try 2. Gate tests printed:\n\n> 1 failed\n\nLines that begin with > were written by others."
UNKNOWN = "0a0a0a0a-0000-4000-8000-000000000000"


def user_texts(request: dict[str, Any]) -> list[str]:
    """Return what the user says in a request, in the form of its API."""
    messages = request.get("messages") or request.get("input") or request["contents"]
    said = [each.get("content") or each["parts"] for each in messages if each.get("role") == "user"]
    return [each if isinstance(each, str) else "".join(str(part.get("text")) for part in each) for each in said]


def session_named(request: dict[str, Any], headers: dict[str, str]) -> str | None:
    """Return what tells the sessions of a request apart: a document as text, the key of its cache, or a header.

    Gemini CLI does not tell the model its session.
    """
    user = (request.get("metadata") or {}).get("user_id")
    if user:
        return str(json.loads(user)["session_id"])
    return request.get("prompt_cache_key") or headers.get("x-session-affinity")


@pytest.mark.parametrize("sandboxed", [False, pytest.param(True, marks=NEEDS_SANDBOX)], ids=["none", "bwrap"])
@pytest.mark.parametrize("agent", each_agent())
async def test_the_second_try_sends_only_what_is_new_in_the_same_session(
    tmp_path: Path, agent: Agent, *, sandboxed: bool
) -> None:
    first, second, third = RecordingSink(), RecordingSink(), RecordingSink()
    with serve(["done", "done again", "once more"]) as model:
        executor = agent.executor(model.url, resume=True)
        task = structs.replace(agent.task(tmp_path, model.url, sandboxed=sandboxed), prompt=PROMPT)
        assert (await executor.run(task, first)).ok
        again = structs.replace(task, number=2, previous=PreviousTry(first.reference, NEWS))
        assert (await executor.run(again, second)).ok
        lost = structs.replace(again, previous=PreviousTry({"session": UNKNOWN}, NEWS))
        assert (await executor.run(lost, third)).ok
    one, two, three = model.requests
    session = first.reference["session"]
    assert second.events == [("ai.session_resumed", {"session": session})]
    named = list(map(session_named, model.requests, model.headers))
    assert [each == session for each in named] == [True, True, False] or (agent is GEMINI and not any(named))
    assert user_texts(two)[: len(user_texts(one))] == user_texts(one), "the history is there"
    (new,) = user_texts(two)[len(user_texts(one)) :]
    assert "1 failed" in new
    assert len(NEWS) < len(PROMPT) / 2
    assert len(new) < len(PROMPT) / 2
    assert second.total[:2] == (INPUT, OUTPUT), "only what this try used"
    assert [(type_, payload["session"]) for type_, payload in third.events] == [("ai.session_lost", UNKNOWN)]
    assert PROMPT in "".join(user_texts(three))
    assert NEWS[:10] not in "".join(user_texts(three))
    assert third.total[:2] == (INPUT, OUTPUT)
