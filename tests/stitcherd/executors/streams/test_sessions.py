"""Goes on in the sessions of programs: command lines, prompts, what is saved, and sessions that are gone."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from shared.models import Usage
from stitcherd.config.load import SettingsError, load_settings
from stitcherd.configuration import SUPPORTED_KINDS
from stitcherd.executors.base import ExecutionResult, PreviousTry, Task
from stitcherd.executors.command import CommandExecutor
from stitcherd.executors.streams import STREAMS
from stitcherd.executors.streams.base import Began
from stitcherd.executors.streams.codex import CodexStream
from tests.stitcherd.executors.openclaw.recording_sink import RecordingSink
from tests.stitcherd.executors.streams.test_stream_run import make_task

RECORDED = Path(__file__).with_name("recorded")
# Knows one session, and keeps what it is started with; like Codex it tells the tokens of the whole session.
PROGRAM = """\
import json, sys
with open("started", "a") as file:
    print(json.dumps([sys.argv[1:], sys.stdin.read()]), file=file)
if "resume" in sys.argv and "known" not in sys.argv:
    sys.exit("no such session")
tell = lambda **line: print(json.dumps(line))
tell(type="thread.started", thread_id="known")
tell(type="turn.started")
if "fail" in sys.argv:
    sys.exit(1)
total = 300 if "resume" in sys.argv else 100
tell(type="turn.completed", usage={"input_tokens": total, "output_tokens": total // 10})
"""


async def run(
    task: Task, *options: str, previous: dict[str, str] | None = None
) -> tuple[ExecutionResult, RecordingSink, list[Any]]:
    """Run a try, and return what the program was started with too."""
    sink = RecordingSink()
    executor = CommandExecutor((sys.executable, "-c", PROGRAM, *options, "-"), "codex", resume=True)
    news = None if previous is None else PreviousTry(previous, "news")
    result = await executor.run(structs.replace(task, previous=news), sink)
    return result, sink, [json.loads(line) for line in (task.cwd / "started").read_text().splitlines()]


async def test_a_session_goes_on_with_what_is_new(tmp_path: Path) -> None:
    task = make_task(tmp_path)
    result, first, _ = await run(task)
    assert result == ExecutionResult(0)
    assert first.reference == {"session": "known", "input": "100", "output": "10"}
    assert first.events == []
    result, second, started = await run(task, previous=first.reference)
    assert result == ExecutionResult(0)
    assert started == [[["-"], "fix it"], [["resume", "known", "-"], "news"]]
    assert second.total[:2] == (200, 20), "not what the try before has used"
    assert second.reference == {"session": "known", "input": "300", "output": "30"}
    assert second.events == [("ai.session_resumed", {"session": "known"})]


async def test_a_session_that_is_gone_is_begun_anew_with_the_whole_prompt(tmp_path: Path) -> None:
    result, sink, started = await run(make_task(tmp_path), previous={"session": "gone", "input": "900"})
    assert result == ExecutionResult(0)
    assert started == [[["resume", "gone", "-"], "news"], [["-"], "fix it"]]
    reason = "The executor ended with exit code 1."
    assert sink.events == [("ai.session_lost", {"session": "gone", "reason": reason})]
    assert sink.total[:2] == (100, 10)
    assert sink.reference["session"] == "known"


async def test_a_failure_in_a_session_is_not_tried_again(tmp_path: Path) -> None:
    result, sink, started = await run(make_task(tmp_path), "fail", previous={"session": "known"})
    assert result.failure
    assert result.failure.code == "executor_failed"
    assert len(started) == 1
    assert sink.reference == {}, "there is no next try"


@pytest.mark.parametrize("kind", STREAMS)
def test_each_recorded_stream_tells_its_session_first(kind: str) -> None:
    stream, session = STREAMS[kind](), None
    for line in (RECORDED / f"{kind}.jsonl").read_bytes().splitlines():
        items = stream.feed(line)
        session = next((item.session for item in items if isinstance(item, Began)), session)
        assert session or not items, "before it is told, nothing has happened"
    assert session
    assert session in stream.resume(("program", "-"), session)


def test_what_could_be_an_option_is_no_session() -> None:
    stream = CodexStream(Usage())
    for name in ("--last", "", "a b", "x" * 200):
        assert stream.feed(json.dumps({"type": "thread.started", "thread_id": name}).encode()) == []


def test_a_program_without_a_stream_has_no_session_to_resume(tmp_path: Path) -> None:
    (tmp_path / "stitcherd.toml").write_text('[executors.a]\nkind = "command"\nargv = ["x"]\nresume = true\n')
    with pytest.raises(SettingsError, match=r"executors\.a\.resume: needs an output other than plain"):
        load_settings(tmp_path, SUPPORTED_KINDS, socket=str(tmp_path / "s"))
