"""`stitcher audit`: what it says of a chain, by the daemon's export and by one in a file."""

import json
import stat
from pathlib import Path

import pytest
from msgspec import Raw

from shared.audit import (
    NO_HASH,
    AuditedEvent,
    ExportHeader,
    RemovedEvents,
    chained_hash,
    event_line,
    event_text,
    other_line,
)
from tests.tui.fake_api import FakeApi, RunStitcher


def export(count: int, *, unchained: int = 0) -> list[bytes]:
    lines = [other_line(ExportHeader(1, "db", unchained, unchained + count))]
    hash_ = NO_HASH
    for number in range(1, unchained + count + 1):
        event = AuditedEvent(
            number, None, None, None, None, "a.b", "rails", f"2026-08-{23 + number % 8}T00:00:00.000Z", Raw(b"{}")
        )
        text = event_text(event)
        hash_ = chained_hash(hash_, text) if number > unchained else NO_HASH
        lines.append(event_line(text, hash_ if number > unchained else None))
    return lines


def content(lines: list[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def head_of(line: bytes) -> str:
    return str(json.loads(line)["hash"])


def test_an_unbroken_chain(api: FakeApi, stitcher: RunStitcher) -> None:
    lines = export(1204)
    api.answers["GET /audit"] = 200, content(lines)
    head = head_of(lines[-1])
    assert stitcher("audit", "verify") == (0, f"1,204 events from 2026-08-24, chain unbroken, head {head}\n", "")
    code, out, _ = stitcher("audit", "verify", "--json")
    report = json.loads(out)
    assert (code, report["events"], report["head"], report["broken"]) == (0, 1204, head, None)


def test_the_first_event_that_does_not_fit_is_told(api: FakeApi, stitcher: RunStitcher) -> None:
    lines = export(9)
    lines[5] = lines[5].replace(b'"rails"', b'"uid:0"')
    api.answers["GET /audit"] = 200, content(lines)
    code, out, _ = stitcher("audit", "verify")
    assert code == 1
    assert out.startswith("4 events from 2026-08-24, chain broken at event 5: its content")
    code, out, _ = stitcher("audit", "verify", "--json")
    assert (code, json.loads(out)["broken"]["event"]) == (1, 5)


def test_a_noted_head_must_be_there(api: FakeApi, stitcher: RunStitcher) -> None:
    lines = export(9)
    api.answers["GET /audit"] = 200, content(lines)
    assert stitcher("audit", "verify", "--head", head_of(lines[4])[:10].upper())[0] == 0
    code, out, err = stitcher("audit", "verify", "--head", "0123456789")
    assert code == 1
    assert "but the given head is not in it" in out
    assert "no event has the hash 0123456789" in err


def test_events_before_the_chain_are_told(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["GET /audit"] = 200, content(export(2, unchained=3))
    code, out, err = stitcher("audit", "verify")
    assert code == 0
    assert out.startswith("2 events from 2026-08-27, chain unbroken")
    assert err.startswith("3 events before these have no hash")


def test_ranges_without_a_checkpoint_are_told(api: FakeApi, stitcher: RunStitcher) -> None:
    lines = export(9)
    removed = RemovedEvents(1, 3, NO_HASH.hex(), head_of(lines[3]))
    api.answers["GET /audit"] = 200, content([lines[0], other_line(removed), *lines[4:]])
    code, out, err = stitcher("audit", "verify")
    assert code == 1
    assert "chain broken at the end: the ranges" in out
    assert err == "retention has removed 3 events in 1 range\n"


def test_an_export_is_written_and_verified_without_a_daemon(
    api: FakeApi, stitcher: RunStitcher, tmp_path: Path
) -> None:
    lines = export(3)
    api.answers["GET /audit"] = 200, content(lines)
    file = tmp_path / "events.jsonl"
    assert stitcher("audit", "export", "--out", str(file)) == (
        0,
        f"{file}\n",
        f"to verify it: stitcher audit verify --file {file}\n",
    )
    assert file.read_bytes() == content(lines)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stitcher("audit", "export", "--out", str(file))[::2] == (2, f"stitcher: {file} exists already\n")
    asked = len(api.requests)
    assert "3 events from 2026-08-24, chain unbroken" in stitcher("audit", "verify", "--file", str(file))[1]
    assert len(api.requests) == asked
    other = tmp_path / "other.jsonl"
    assert json.loads(stitcher("--json", "audit", "export", "--out", str(other))[1]) == {
        "file": str(other),
        "bytes": len(content(lines)),
    }


def test_an_export_goes_to_stdout(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["GET /audit"] = 200, content(export(3))
    assert stitcher("audit", "export") == (0, content(export(3)).decode(), "")


def test_what_is_refused_leaves_no_file(api: FakeApi, stitcher: RunStitcher, tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    assert stitcher("audit", "export", "--out", str(file))[0] == 5
    assert not file.exists()
    code, _, err = stitcher("audit", "export", "--out", str(tmp_path / "nowhere" / "x"))
    assert (code, err.endswith("No such file or directory\n")) == (1, True)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "its first line is not that of an export"),
        (b"hello\n", "its first line is not that of an export"),
        (b'{"format":2,"instance":"","chainedAfter":0,"newest":1}\n', "its format is 2, this program knows 1"),
    ],
)
def test_what_is_not_an_export_is_a_usage_error(
    stitcher: RunStitcher, tmp_path: Path, text: bytes, reason: str
) -> None:
    file = tmp_path / "x"
    file.write_bytes(text)
    code, out, err = stitcher("audit", "verify", "--file", str(file))
    assert (code, out) == (2, "")
    assert reason in err
    assert stitcher("audit", "verify", "--file", str(tmp_path / "nothing"))[0] == 2


def test_a_head_must_be_a_hash(stitcher: RunStitcher, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        stitcher("audit", "verify", "--head", "x")
    assert left.value.code == 2
    assert "expected 8 to 64 hexadecimal digits" in capsys.readouterr().err
