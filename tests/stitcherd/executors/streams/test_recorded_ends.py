"""Reads recorded streams of runs that went wrong: refused tools, failed commands, budgets, an API that refuses."""

import json
from pathlib import Path

import pytest

from shared.models import Usage
from stitcherd.executors.streams import STREAMS
from stitcherd.executors.streams.base import DETAIL_MAX, Ended, StreamItem, Text, ToolCalled, ToolDenied, Used

RECORDED = Path(__file__).with_name("recorded")


def read(name: str) -> list[StreamItem]:
    stream = STREAMS[name.partition("-")[0]]()
    return [item for line in (RECORDED / f"{name}.jsonl").read_bytes().splitlines() for item in stream.feed(line)]


def total(items: list[StreamItem]) -> Usage:
    used = [each.usage for each in items if isinstance(each, Used)]
    return Usage(
        sum(each.input_tokens for each in used),
        sum(each.output_tokens for each in used),
        round(sum(each.cost_usd for each in used), 6),
        sum(each.turns for each in used),
    )


@pytest.mark.parametrize("name", sorted(STREAMS))
def test_a_refusal_of_the_api_is_the_end_and_counts_nothing_as_tokens(name: str) -> None:
    items = read(f"{name}-refused")
    ends = [each for each in items if isinstance(each, Ended)]
    assert len(ends) == 1
    assert "refused" in (ends[0].failure or "")
    assert total(items).input_tokens == 0


def test_tools_that_claude_does_not_have_are_denied() -> None:
    denied = [each for each in read("claude-no-write") if isinstance(each, ToolDenied)]
    assert [each.tool for each in denied] == ["Write", "Bash"]
    assert "No such tool available" in denied[0].reason


def test_a_command_that_fails_is_not_denied_whatever_it_printed() -> None:
    items = read("claude-failing-command")
    assert Text("[Bash failed: Exit code 3]") in items
    assert items[-1] == Ended()
    lines = (RECORDED / "claude-failing-command.jsonl").read_text().replace("Exit code 3", "sh: Permission denied")
    stream = STREAMS["claude"]()
    again = [item for line in lines.splitlines() for item in stream.feed(line.encode())]
    assert not [each for each in again if isinstance(each, ToolDenied)]


def test_a_run_that_its_budget_ended_has_used_what_its_models_say() -> None:
    items = read("claude-budget")
    assert total(items) == Usage(100, 10, 0.00075, 1)
    assert items[-1] == Ended("Reached maximum budget ($0.0005)", over_budget=True)


def test_what_a_run_has_read_counts_before_its_last_line() -> None:
    lines = (RECORDED / "claude.jsonl").read_bytes().splitlines()
    stream = STREAMS["claude"]()
    items = [item for line in lines[:-1] for item in stream.feed(line)]
    assert total(items) == Usage(300, 3, 0.0, 3)


def test_an_unknown_session_uses_nothing() -> None:
    items = read("claude-unknown-session")
    assert total(items) == Usage()
    assert items[-1] == Ended("No conversation found with session ID: 0a0a0a0a-0000-4000-8000-000000000000")


def test_codex_tells_a_call_that_it_declined_even_if_it_never_began() -> None:
    item = {"id": "item_1", "type": "file_change", "changes": [], "status": "declined"}
    items = STREAMS["codex"]().feed(json.dumps({"type": "item.completed", "item": item}).encode())
    assert [type(each) for each in items] == [ToolCalled, Used, ToolDenied]


@pytest.mark.parametrize(
    ("error", "message", "denied"),
    [
        ("policy_violation", "Tool execution denied by policy. You are in Plan Mode.", True),
        ("tool_not_registered", 'Tool "write_file" not found. Did you mean one of: "read_file"?', True),
        ("permission_denied", "Permission denied writing to file: /etc/a.txt (EACCES)", False),
        ("file_not_found", "File not found: a.txt", False),
    ],
)
def test_gemini_tells_by_the_type_of_an_error_that_it_denied_a_call(error: str, message: str, *, denied: bool) -> None:
    stream = STREAMS["gemini"]()
    stream.feed(b'{"type":"tool_use","tool_id":"1","tool_name":"write_file","parameters":{"file_path":"a.txt"}}')
    told = {"output": message, "error": {"type": error, "message": message}}
    items = stream.feed(json.dumps({"type": "tool_result", "tool_id": "1", "status": "error", **told}).encode())
    assert items == ([ToolDenied("1", "write_file", message)] if denied else [])


@pytest.mark.parametrize("name", sorted(STREAMS))
def test_a_document_of_an_unknown_type_is_output(name: str) -> None:
    assert STREAMS[name]().feed(b'{"type": "new"}') == [Text('{"type": "new"}')]


@pytest.mark.parametrize(
    ("name", "document"),
    [
        (
            "claude",
            {"type": "assistant", "message": {"id": "m", "content": [{"type": "tool_use", "name": "x" * 9999}]}},
        ),
        ("codex", {"type": "item.started", "item": {"id": "x" * 9999, "type": "command_execution"}}),
        ("gemini", {"type": "tool_use", "tool_id": "x" * 9999, "tool_name": "y" * 9999}),
        ("opencode", {"type": "tool_use", "part": {"callID": "x" * 9999, "tool": "y" * 9999}}),
    ],
)
def test_what_goes_into_an_event_is_bounded(name: str, document: dict[str, object]) -> None:
    calls = [each for each in STREAMS[name]().feed(json.dumps(document).encode()) if isinstance(each, ToolCalled)]
    assert [max(len(each.id), len(each.tool), len(each.detail)) for each in calls] == [DETAIL_MAX]
