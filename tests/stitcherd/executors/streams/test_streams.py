"""Reads the recorded streams of real programs, of the versions that docs/agents.md names, and any other bytes."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.models import Usage
from stitcherd.budget import Budget
from stitcherd.executors.streams import STREAMS
from stitcherd.executors.streams.base import Ended, StreamItem, Text, ToolCalled, ToolDenied, Used
from stitcherd.executors.streams.claude import ClaudeStream
from stitcherd.executors.streams.codex import CodexStream

RECORDED = Path(__file__).with_name("recorded")
CALLS = {
    "claude": [("Write", "a.txt"), ("Bash", "ls")],
    "codex": [
        ("command_execution", "/bin/bash -lc \"cat > 'a.txt' <<'END_OF_FILE' x END_OF_FILE\""),
        ("command_execution", "/bin/bash -lc ls"),
    ],
    "gemini": [("write_file", "a.txt"), ("run_shell_command", "ls")],
    "opencode": [("write", "a.txt"), ("bash", "ls")],
}
DOLLARS = {"claude": 0.00225, "opencode": 0.00135}
TYPES = ["assistant", "user", "system", "result", "item.started", "item.completed", "turn.completed", "turn.failed"]
TYPES += ["error", "tool_use", "tool_result", "step_start", "step_finish", "text", "message", "init"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers(-(2**70), 2**70) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = ["message", "part", "item", "usage", "content", "tokens", "state", "error", "id", "name", "cost", "stats"]
DOCUMENTS = st.fixed_dictionaries(
    {"type": st.sampled_from(TYPES) | VALUES}, optional=dict.fromkeys([*KEYS, "permission_denials", "subtype"], VALUES)
)


def read(kind: str, recording: str | None = None) -> list[StreamItem]:
    stream = STREAMS[kind]()
    lines = (RECORDED / f"{recording or kind}.jsonl").read_bytes().splitlines()
    return [item for line in lines for item in stream.feed(line)]


@pytest.mark.parametrize("kind", STREAMS)
def test_a_recorded_stream_tells_its_calls_usage_and_end(kind: str) -> None:
    items = read(kind)
    calls = [item for item in items if isinstance(item, ToolCalled)]
    assert [(call.tool, call.detail) for call in calls] == CALLS[kind]
    assert len({call.id for call in calls}) == 2
    used = [item.usage for item in items if isinstance(item, Used)]
    total = (sum(each.input_tokens for each in used), sum(each.output_tokens for each in used))
    assert total == (300, 30)  # three calls of the model with 100 and 10 tokens
    assert sum(each.turns for each in used) == 3
    assert round(sum(each.cost_usd for each in used), 6) == DOLLARS.get(kind, 0)
    assert "done" in [item.text for item in items if isinstance(item, Text)]
    assert items[-1] == Ended()
    assert not [item for item in items if isinstance(item, ToolDenied)]


def test_a_call_that_was_not_permitted_is_denied_once() -> None:
    denied = [item for item in read("claude", "claude-denied") if isinstance(item, ToolDenied)]
    assert [(each.tool, "requested permissions" in each.reason) for each in denied] == [("Read", True)]


@pytest.mark.parametrize(
    ("kind", "line", "failure"),
    [
        ("claude", '{"type":"result","subtype":"success","is_error":true,"result":"API Error: 529"}', "API Error: 529"),
        ("claude", '{"type":"result","subtype":"error_max_turns","is_error":true}', "error_max_turns"),
        ("claude", '{"type":"result"}', "it does not say why"),
        ("codex", '{"type":"turn.failed","error":{"message":"stream error"}}', "stream error"),
        ("gemini", '{"type":"result","status":"error","error":{"message":"no quota"}}', "no quota"),
        ("opencode", '{"type":"error","error":{"name":"APIError","data":{"message":"overloaded"}}}', "overloaded"),
        ("opencode", '{"type":"step_finish","part":{"reason":"length"}}', "the model stopped: length"),
    ],
)
def test_an_end_that_is_a_failure_says_why(kind: str, line: str, failure: str) -> None:
    assert STREAMS[kind]().feed(line.encode())[-1] == Ended(failure)


def test_tokens_that_count_from_the_start_of_a_session_count_once() -> None:
    stream = CodexStream()
    lines = (f'{{"type":"turn.completed","usage":{{"input_tokens":{each},"output_tokens":0}}}}' for each in (200, 300))
    first, second = (stream.feed(line.encode())[0] for line in lines)
    assert (first, second) == (Used(Usage(200)), Used(Usage(100)))


def test_the_program_holds_the_budget_of_dollars_where_the_stream_tells_them_too_late() -> None:
    assert ClaudeStream().arguments(Budget(usd=0.5)) == ("--max-budget-usd", "0.500000")
    assert ClaudeStream().arguments(Budget(turns=3)) == ()
    assert CodexStream().arguments(Budget(usd=0.5)) == ()


def test_the_program_holds_the_tools_and_what_the_agent_could_write_does_not_widen_them() -> None:
    options = ("--setting-sources", "user", "--strict-mcp-config")
    assert ClaudeStream().arguments(Budget(), ("Read", "Edit")) == ("--tools", "Read,Edit", *options)
    assert ClaudeStream().arguments(Budget(), ()) == ("--tools", "", *options), "an empty list is no tool at all"


@given(st.lists(st.binary(max_size=80), max_size=6))
@pytest.mark.parametrize("kind", STREAMS)
def test_other_bytes_are_text(kind: str, lines: list[bytes]) -> None:
    stream = STREAMS[kind]()
    for line in lines:
        for item in stream.feed(line):
            assert isinstance(item, Text)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(DOCUMENTS, max_size=6))
@pytest.mark.parametrize("kind", STREAMS)
def test_any_document_is_read_without_an_error(kind: str, documents: list[dict[str, object]]) -> None:
    stream = STREAMS[kind]()
    for document in documents:
        for item in stream.read(document):
            if isinstance(item, Used):
                assert min(item.usage.input_tokens, item.usage.output_tokens, item.usage.cost_usd) >= 0
