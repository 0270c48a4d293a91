"""Runs programs that write streams: what becomes output, an event or usage, and how a run ends."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from stitcherd.budget import Budget
from stitcherd.config.load import SettingsError, load_settings
from stitcherd.config.settings import PriceSettings
from stitcherd.configuration import SUPPORTED_KINDS
from stitcherd.executors.base import AgentProfile, ExecutionResult, Task
from stitcherd.executors.command import CommandExecutor
from stitcherd.executors.streams.lines import LINE_MAX
from stitcherd.gates import BUILTINS
from stitcherd.jobs.command_runner import CommandRunner
from stitcherd.jobs.evaluator import configured_facts
from stitcherd.rails.load import RailsError, parse_rails
from stitcherd.rails.validate import RailsContext
from tests.stitcherd.executors.openclaw.recording_sink import RecordingSink

RECORDED = Path(__file__).with_name("recorded")
PLAY = "import sys, time; sys.stdin.read(); [print(line, flush=True) for line in open(sys.argv[1])]; "


def make_task(directory: Path, **profile: Any) -> Task:
    (directory / "tmp").mkdir()
    runner = CommandRunner(
        job_id=f"stream-{os.getpid()}",
        attempt=1,
        root=directory,
        cwd=directory,
        tmp=directory / "tmp",
        environ=os.environ,
    )
    return Task(
        job_id=runner.job_id,
        attempt=1,
        number=1,
        prompt="fix it",
        cwd=directory,
        timeout=20.0,
        run_command=runner.run,
        profile=AgentProfile(name="weaver", **profile),
    )


async def play(
    directory: Path,
    kind: str,
    text: bytes | None = None,
    then: str = "pass",
    *,
    prices: PriceSettings | None = None,
    program: str | None = None,
    **more: Any,
) -> tuple[ExecutionResult, RecordingSink]:
    """Let a program write a recorded stream, or `text`, and then do something else."""
    script = directory / "stream"
    script.write_bytes((RECORDED / f"{kind}.jsonl").read_bytes() if text is None else text)
    sink = RecordingSink()
    executor = CommandExecutor((sys.executable, "-c", PLAY + then, str(script)), program or kind, prices)
    return await executor.run(make_task(directory, **more), sink), sink


async def test_a_stream_becomes_output_events_and_usage(tmp_path: Path) -> None:
    result, sink = await play(tmp_path, "claude")
    assert result == ExecutionResult(0)
    assert sink.output == b"[Write: a.txt]\n[Bash: ls]\ndone\n"
    recorded = (RECORDED / "claude.jsonl").read_bytes().splitlines()
    assert [line for line in sink.raw.splitlines() if line] == recorded, "what it wrote is kept as it is"
    assert [(type_, payload["tool"]) for type_, payload in sink.events] == [
        ("ai.tool_called", "Write"),
        ("ai.tool_called", "Bash"),
    ]
    assert sink.total == (300, 30, 0.00225)
    assert sum(usage.turns for usage in sink.usages) == 3


async def test_raw_output_has_no_pieces_of_text(tmp_path: Path) -> None:
    delta = b'{"type":"message","role":"assistant","content":"%s","delta":true}\n'
    ended = b'{"type":"result","status":"success","stats":{}}\n'
    begun = b'{"type":"init","session_id":"s"}\n'
    result, sink = await play(tmp_path, "gemini", begun + delta % b"a-sec" + delta % b"ret-word" + ended)
    assert result.ok
    assert b"a-secret-word" in sink.output, "there it is masked"
    assert [line for line in sink.raw.splitlines() if line] == [begun.strip(), ended.strip()]


async def test_tokens_without_dollars_have_a_price(tmp_path: Path) -> None:
    _, sink = await play(tmp_path, "codex", prices=PriceSettings(input=3.0, output=15.0))
    assert sink.total == (300, 30, round(300 * 3e-6 + 30 * 15e-6, 6))


async def test_tokens_whose_dollars_are_told_have_no_price(tmp_path: Path) -> None:
    _, sink = await play(tmp_path, "opencode", prices=PriceSettings(input=3.0, output=15.0))
    assert sink.total == (300, 30, 0.00135)


def test_a_program_that_always_tells_dollars_has_no_prices(tmp_path: Path) -> None:
    keys = 'kind = "command"\nargv = ["x"]\noutput = "claude"\nprices = {input = 3.0, output = 15.0}'
    (tmp_path / "stitcherd.toml").write_text(f"[executors.a]\n{keys}\n")
    with pytest.raises(SettingsError, match=r"executors\.a\.prices: output claude tells dollars itself"):
        load_settings(tmp_path, SUPPORTED_KINDS, socket=str(tmp_path / "s"))


async def test_a_run_ends_beyond_its_turns(tmp_path: Path) -> None:
    result, sink = await play(tmp_path, "gemini", then="time.sleep(60)", budget=Budget(turns=2))
    assert result.failure
    assert (result.failure.code, result.failure.detail) == (
        "budget_exceeded",
        "The agent began turn 3, and its budget is 2.",
    )
    assert sum(usage.turns for usage in sink.usages) == 3


@pytest.mark.parametrize(
    ("text", "then", "detail"),
    [
        (b'{"type":"turn.started"}\n', "pass", "The stream of the agent broke off: its last line is missing."),
        (b"", "pass", "The stream of the agent broke off: its last line is missing."),
        (b'{"type":"turn.completed"}\n', "sys.exit(3)", "The executor ended with exit code 3."),
        (b'{"type":"turn.failed","error":{"message":"no."}}\n', "sys.exit(1)", "The agent failed: no."),
    ],
)
async def test_how_a_run_fails(tmp_path: Path, text: bytes, then: str, detail: str) -> None:
    result, _ = await play(tmp_path, "codex", text, then)
    assert result.failure
    assert (result.failure.code, result.failure.detail) == ("executor_failed", detail)


async def test_lines_of_another_form_are_output(tmp_path: Path) -> None:
    long = b"x" * (LINE_MAX + 10)
    text = b"plain\n" + long + b"\n" + b'[1]\n{"type":"turn.completed"}\n'
    script = "sys.stdout.flush(); sys.stdout.buffer.write(b'\\xff\\xfe no utf-8\\n')"
    result, sink = await play(tmp_path, "codex", text, script)
    assert result == ExecutionResult(0)
    assert sink.output.startswith(b"plain\nxxx")
    assert sink.output.count(b"x") == len(long)
    assert sink.output.endswith(b" no utf-8\n")


async def test_the_last_line_needs_no_line_feed_and_stderr_is_output(tmp_path: Path) -> None:
    ending = "sys.stdout.write('{\"type\":\"turn.completed\"}'); sys.stderr.write('a warning')"
    result, sink = await play(tmp_path, "codex", b"", ending)
    assert result == ExecutionResult(0)
    assert b"a warning" in sink.output


async def test_pieces_of_a_text_are_one_line(tmp_path: Path) -> None:
    said = [b'{"type":"message","role":"assistant","content":"%s","delta":true}' % word for word in (b"one ", b"two")]
    call = b'{"type":"tool_use","tool_id":"1","tool_name":"ls"}'
    _, sink = await play(
        tmp_path, "gemini", b"\n".join([*said, call, said[1], b'{"type":"result","status":"success"}'])
    )
    assert sink.output == b"one two\n[ls: ]\ntwo\n"


async def test_a_program_that_says_that_its_budget_ended_it_exceeded_the_budget(tmp_path: Path) -> None:
    result, sink = await play(tmp_path, "claude-budget", then="sys.exit(1)", program="claude")
    assert result.failure
    assert result.failure.code == "budget_exceeded"
    assert sink.total == (100, 10, 0.00075)


async def test_a_program_that_reports_more_than_can_be_recorded_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stitcherd.executors.streams.run.WAITING_MAX", 3)
    result, _ = await play(tmp_path, "codex", b'{"type":"turn.started"}\n' * 9000, then="time.sleep(60)")
    assert result.failure
    assert result.failure.detail == "The agent was ended: it reported more than could be recorded."


async def test_a_cancel_ends_the_program(tmp_path: Path) -> None:
    running = asyncio.create_task(play(tmp_path, "claude", then="time.sleep(60)"))
    await asyncio.sleep(0.5)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, 5)


@pytest.mark.parametrize(
    ("keys", "metered"),
    [
        ("", False),
        ('output = "claude"', True),
        ('output = "opencode"', False),
        ('output = "opencode"\nprices = {input = 3.0, output = 15.0}', True),
        ('output = "codex"', False),
        ('output = "codex"\nprices = {input = 3.0, output = 15.0}', True),
        ('output = "plain"\nprices = {input = 3.0, output = 15.0}', False),
    ],
)
def test_what_a_stream_does_not_tell_is_not_counted_as_nothing(tmp_path: Path, keys: str, metered: bool) -> None:
    (tmp_path / "stitcherd.toml").write_text(f'[executors.agent]\nkind = "command"\nargv = ["x"]\n{keys}\n')
    settings = load_settings(tmp_path, SUPPORTED_KINDS, socket=str(tmp_path / "s"))
    assert configured_facts(settings).executors["agent"].metered is metered


@pytest.mark.parametrize(
    ("output", "tools", "refused"),
    [
        ("claude", ("Read", "mcp__docs__search"), None),
        ("claude", ("exec:make",), "its tools are named like Read, not exec:make"),
        ("codex", ("Read",), "cannot restrict an agent to the tools"),
        ("plain", ("Read",), "cannot restrict an agent to the tools"),
    ],
)
def test_only_a_program_that_holds_a_list_of_tools_is_given_one(
    tmp_path: Path, output: str, tools: tuple[str, ...], refused: str | None
) -> None:
    keys = f'kind = "command"\nargv = ["x"]\noutput = "{output}"'
    (tmp_path / "stitcherd.toml").write_text(f"[executors.agent]\n{keys}\n")
    facts = configured_facts(load_settings(tmp_path, SUPPORTED_KINDS, socket=str(tmp_path / "s")))
    rails = (
        "version: 1\njobs: {fix: {profile: weaver}}\nprofiles:\n  weaver:"
        f" {{executor: agent, capabilities: [repo:read], tools: [{', '.join(tools)}]}}\n"
    )
    if refused is None:
        parse_rails(rails, RailsContext(BUILTINS, facts=facts))
        return
    with pytest.raises(RailsError, match=refused):
        parse_rails(rails, RailsContext(BUILTINS, facts=facts))
