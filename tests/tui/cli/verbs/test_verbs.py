"""Each verb against a server with the API's documents."""

import io
import json
from typing import Any

import pytest

from tests.tui import documents
from tests.tui.fake_api import FakeApi, RunStitcher
from tui.cli.terminal import Terminal

OTHER = "0199f3a1-5c2f-7a60-8e21-5b1f00000002"


def _page(*items: Any, next_: str | None = None) -> tuple[int, dict[str, Any]]:
    return 200, {"items": list(items), "next": next_, "cursor": 9, "counts": {"pending": 0, "running": 1, "failed": 17}}


def test_ls_is_a_line_a_job(api: FakeApi, stitcher: RunStitcher) -> None:
    failed = documents.job(
        id=OTHER,
        type="triage",
        status="FAILED",
        thread=None,
        repository=None,
        error={"code": "gates_failed", "detail": "gate \x1b[31mtests", "hint": None},
        usage={},
    )
    api.answers["GET /runner-jobs"] = _page(documents.job(), failed, next_=OTHER)
    code, out, err = stitcher("ls")
    assert code == 0
    lines = [line.rsplit("  ", 1)[0].split() for line in out.splitlines()]
    assert lines == [
        ["7f3a1c9d", "✓", "completed", "fix", "octo-org/api#479", "job.completed", "2/3", "2m40s", "$0.21"],
        ["00000002", "✗", "failed", "triage", "\N{EN DASH}", "gate", "\\x1b[31mtests", "2/3", "2m40s", "\N{EN DASH}"],
    ]
    assert len({line.index("2m40s") for line in out.splitlines()}) == 1
    assert err.splitlines() == ["1 running · 17 failed", f"there are more: add --before {OTHER}"]


def test_ls_shows_no_cost_where_nobody_told_one(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["GET /runner-jobs"] = _page(documents.job(usage={}))
    assert "$" not in stitcher("ls")[1]


def test_ls_passes_its_filters_on(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["GET /runner-jobs"] = _page()
    argv = "--status failed --status running --type fix --repo octo-org/api --agent task-7 --limit 2 --before 7f3a1c9d"
    code, out, err = stitcher("ls", *argv.split())
    assert (code, out, err) == (0, "", "no job is older than that one\n")
    query = "status=failed&status=running&type=fix&repository=octo-org%2Fapi&agentTaskId=task-7&limit=2&before=7f3a1c9d"
    assert api.requests == [(f"GET /runner-jobs?{query}", None)]
    assert "no job matches" in stitcher("ls", "--type", "x")[2]


def test_ls_as_json_is_the_document(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["GET /runner-jobs"] = _page(documents.job(somethingNew={"a": "\u202e"}))
    code, out, err = stitcher("ls", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == api.answers["GET /runner-jobs"][1]
    assert "\u202e" not in out


@pytest.mark.parametrize(
    ("more", "shown"),
    [
        ({"status": "RUNNING", "completedAt": None}, "▶ running"),
        ({"status": "RUNNING", "completedAt": None, "cancelRequested": True}, "▶ cancelling"),
        ({"status": "QUEUED", "startedAt": None, "completedAt": None}, "● queued"),
        ({"status": "PENDING", "queuedAt": None, "startedAt": None, "completedAt": None}, "◷ waiting"),
        ({"status": "CANCELLED", "startedAt": None}, "⊘ cancelled"),
    ],
)
def test_every_state_is_a_glyph_and_a_word(
    api: FakeApi, stitcher: RunStitcher, more: dict[str, Any], shown: str
) -> None:
    api.answers["GET /runner-jobs"] = _page(documents.job(**more))
    assert shown in stitcher("ls")[1]


def test_show_tells_the_whole_job(api: FakeApi, stitcher: RunStitcher) -> None:
    agent = {"type": "AI_ACTION", "phase": "EXECUTION"}
    gate = {"type": "GATE", "phase": "VALIDATION"}
    api.answers["GET /runner-jobs/7f3a1c9d"] = (
        200,
        documents.job(
            prompt="p",
            metadata={},
            result={"commit": "4be1f00d", "files": 3, "additions": 34, "deletions": 6, "summary": "two\nlines"},
            error={"code": "gates_failed", "detail": "tests failed", "hint": "look at the log"},
            steps=[
                documents.step(1, "checkout"),
                documents.step(2, "agent", **agent, **{"try": 1}),
                documents.step(
                    3, "tests", **gate, **{"try": 1}, status="FAILED", exitCode=1, output="\n".join("abcdefgh") + "\n\n"
                ),
                documents.step(4, "agent", **agent, **{"try": 2}, status="RUNNING", exitCode=None, durationMs=None),
            ],
            events=[documents.event(n, "job.created", trigger=f"t{n}\n\x1b") for n in range(20)],
            decision=documents.DECISION,
        ),
    )
    code, out, err = stitcher("show", "7f3a1c9d")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == '7f3a1c9d  ✓ completed  fix  octo-org/api#479  "Pagination drops the last row"'
    tree = lines[lines.index("steps") + 1 : lines.index("last events") - 1]
    assert [" ".join(line.split()) for line in tree] == [
        "✓ checkout setup 1.1s completed",
        "▼ try 1",
        "✓ agent execution 1.1s completed",
        "✗ gate tests validation 1.1s failed exit 1",
        *"cdefgh",
        "▼ try 2",
        "▶ agent execution \N{EN DASH} running",
    ]
    assert "+34 -6 in 3 files" in out
    assert "gates_failed: tests failed" in out
    assert "look at the log" in out
    assert "denied: who: github:drive-by is in none of team, mosaic (stitcher why 7f3a1c9d)" in out
    assert lines[-1] == "  14:02:11.284  job.created       trigger=t19 \\x1b"
    assert "t7" not in out


def test_why_of_a_job_and_then_of_a_delivery(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers[f"GET /runner-jobs/{documents.JOB}"] = (200, documents.job(decision=documents.DECISION))
    assert stitcher("why", documents.JOB)[1].startswith(
        "DENIED  job 7f3a1c9d  fix on octo-org/api#479 by source:github/octocat\n"
    )
    api.answers["GET /deliveries/7f3a1c02"] = (200, documents.DELIVERY)
    code, out, _ = stitcher("why", "7f3a1c02")
    assert code == 0
    assert out.splitlines() == [
        "DENIED  delivery 7f3a1c02  issue_comment.created on octo-org/api#480 by github:drive-by",
        "  who: github:drive-by is in none of team, mosaic",
        "  rails r-4f2a91c0 · sandbox none · decided in 41 µs",
        "",
        "  ✓ trigger fix-on-command  @mosaic fix, wanted command fix         rails.yaml:41",
        "  ✗ who                     github:drive-by, wanted team or mosaic  rails.yaml:9",
        "  · guard freeze            (does not apply)                        rails.yaml:63",
        "  · capabilities            (not reached)",
        "",
        "  to allow it: add github:drive-by to team (rails.yaml:9)",
    ]
    assert json.loads(stitcher("why", "7f3a1c02", "--json")[1]) == documents.DECISION
    assert stitcher("why", "00000000")[0] == 5


def test_why_of_what_is_not_decided(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["GET /deliveries/7f3a1c02"] = (200, {**documents.DELIVERY, "decision": None})
    assert stitcher("why", "7f3a1c02")[0] == 1
    assert stitcher("why", "7f3a1c02", "--json")[:2] == (0, "null\n")


def test_dispatch_prints_the_short_id(api: FakeApi, stitcher: RunStitcher, monkeypatch: pytest.MonkeyPatch) -> None:
    api.answers["POST /runner-jobs"] = (201, documents.job(status="QUEUED"))
    stdin = io.TextIOWrapper(io.BytesIO("bump the pärser\n".encode()))
    monkeypatch.setattr("sys.stdin", stdin)
    argv = "fix --repo octo-org/api --ref main --prompt - --agent task-7 --priority 0 --key k1"
    code, out, err = stitcher("dispatch", *argv.split())
    assert (code, out, err) == (0, "7f3a1c9d\n", "● queued: fix on octo-org/api#479\n")
    body = {
        "type": "fix",
        "repository": "octo-org/api",
        "ref": "main",
        "prompt": "bump the pärser\n",
        "agentTaskId": "task-7",
        "priority": 0,
        "idempotencyKey": "k1",
    }
    assert api.requests == [("POST /runner-jobs", body)]
    stitcher("dispatch", "fix")
    assert api.requests[-1] == ("POST /runner-jobs", {"type": "fix"})


def test_dispatch_that_is_denied_explains(api: FakeApi, stitcher: RunStitcher) -> None:
    refusal = documents.problem(403, "denied", "who: nobody may", decision=documents.DECISION)
    api.answers["POST /runner-jobs"] = (403, refusal)
    code, out, err = stitcher("dispatch", "fix")
    assert (code, out) == (4, "")
    assert "to allow it: add github:drive-by to team (rails.yaml:9)" in err
    assert err.endswith("stitcher: who: nobody may\n")


def test_dispatch_reads_no_bytes_as_text(stitcher: RunStitcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff")))
    assert stitcher("dispatch", "fix", "--prompt", "-")[0] == 2


def test_cancel_of_one_job(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers[f"POST /runner-jobs/{documents.JOB}/cancel"] = (
        202,
        documents.job(status="RUNNING", cancelRequested=True),
    )
    assert stitcher("cancel", documents.JOB, "--reason", "no need") == (0, "7f3a1c9d  ▶ cancelling\n", "")
    assert api.requests == [(f"POST /runner-jobs/{documents.JOB}/cancel", {"reason": "no need"})]


def test_cancel_of_one_that_is_over(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["POST /runner-jobs/7f3a1c9d/cancel"] = (
        409,
        documents.problem(409, "not_cancellable", "job 7f3a1c9d is COMPLETED"),
    )
    assert stitcher("cancel", "7f3a1c9d") == (1, "", "7f3a1c9d  job 7f3a1c9d is COMPLETED\n")


def test_several_need_a_yes_and_may_come_out_partly(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["POST /runner-jobs/7f3a1c9d/retry"] = (202, documents.job(status="QUEUED"))
    assert stitcher("retry", "7f3a1c9d", "00000002")[0] == 2
    assert api.requests == []
    code, out, err = stitcher("retry", "7f3a1c9d", "00000002", "7f3a1c9d", "--yes")
    assert (code, out) == (6, "7f3a1c9d  ● queued\n")
    assert err.startswith("00000002  there is no")
    assert len(api.requests) == 2
    assert json.loads(stitcher("retry", "7f3a1c9d", "00000002", "--yes", "--json")[1]) == {
        "matched": 2,
        "items": [
            {"id": documents.JOB, "ok": True, "status": "QUEUED"},
            {
                "id": "00000002",
                "ok": False,
                "status": None,
                "code": "not_found",
                "detail": "there is no /runner-jobs/00000002/retry",
            },
        ],
    }


def test_a_dry_run_looks_and_changes_nothing(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["GET /runner-jobs/7f3a1c9d"] = (200, documents.job(status="QUEUED"))
    api.answers["GET /runner-jobs/00000002"] = (200, documents.job(id=OTHER, status="FAILED"))
    code, out, err = stitcher("cancel", "7f3a1c9d", "00000002", "--dry-run")
    assert (code, out) == (6, "would cancel 7f3a1c9d  fix on octo-org/api#479\n")
    assert err == "cannot cancel 00000002  fix on octo-org/api#479: it is failed\n"
    assert stitcher("retry", "00000002", "--dry-run")[0] == 0
    assert all(request.startswith("GET ") for request, _ in api.requests)


def test_version_with_and_without_a_daemon(api: FakeApi, stitcher: RunStitcher) -> None:
    code, out, err = stitcher("version")
    assert (code, out) == (0, "stitcher 0.1.0\n")
    assert err
    meta = {"version": "0.1.0", "api": "1", "instance": "i", "pid": 7, "startedAt": "2026-11-22T14:02:11.284Z"}
    api.answers["GET /meta"] = (200, meta)
    assert stitcher("version")[1].splitlines()[1] == "stitcherd 0.1.0 (API 1, pid 7, since 2026-11-22T14:02:11.284Z)"
    assert json.loads(stitcher("version", "--json")[1]) == {"client": "0.1.0", "daemon": meta}


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environ", "painted"),
    [
        ({}, "\x1b[31mx\x1b[0m"),
        ({"NO_COLOR": "1"}, "x"),
        ({"NO_COLOR": ""}, "\x1b[31mx\x1b[0m"),
        ({"TERM": "dumb"}, "x"),
    ],
)
def test_colour_only_where_it_is_wanted(environ: dict[str, str], painted: str) -> None:
    assert Terminal(Tty(), Tty(), Tty(), environ).paint("x", "red") == painted
    assert Terminal(Tty(), io.StringIO(), Tty(), environ).paint("x", "red") == "x"


@pytest.mark.parametrize(
    ("answer", "yes"), [("y\n", True), ("YES\n", True), ("\n", False), ("", False), ("no\n", False)]
)
def test_only_yes_is_yes(answer: str, yes: bool) -> None:
    terminal = Terminal(Tty(answer), Tty(), err := Tty(), {})
    assert terminal.interactive
    assert terminal.ask("cancel 2 jobs?") is yes
    assert err.getvalue() == "cancel 2 jobs? [y/N] "
