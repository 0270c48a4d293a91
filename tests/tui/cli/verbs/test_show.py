"""`stitcher show`: facts, steps and last events of a job."""

import json

from tests.tui import documents
from tests.tui.fake_api import FakeApi, RunStitcher


def test_show_prints_the_whole_prompt_of_a_job_that_waits(api: FakeApi, stitcher: RunStitcher) -> None:
    prompt = "fix it\n\n> body by github:eve:\n> \n> " + "\n> ".join(f"line {n}\tx\x1b" for n in range(99))
    for status in ("PENDING", "QUEUED"):
        api.answers["GET /runner-jobs/7f3a1c9d"] = (200, documents.job(status=status, prompt=prompt))
        lines = stitcher("show", "7f3a1c9d")[1].splitlines()
        assert ("prompt" in lines) is (status == "PENDING")
        if status == "PENDING":
            shown = lines[lines.index("prompt") + 1 :]
            assert [line.removeprefix("  ") for line in shown[:4]] == ["fix it", "", "> body by github:eve:", ">"]
            assert shown[-1] == r"  > line 98       x\x1b"


def test_show_prints_the_whole_job(api: FakeApi, stitcher: RunStitcher) -> None:
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
            events=[documents.event(n, "job.created", trigger=f"t{n}\n\x1b", reason=None) for n in range(20)],
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


def test_urls_are_printed_as_text_into_a_pipe(api: FakeApi, stitcher: RunStitcher) -> None:
    thread = {"kind": "issue", "number": 7, "title": "t", "url": "https://forge/7", "author": None}
    change = {"number": 8, "url": "javascript:alert(1)"}
    api.answers["GET /runner-jobs/7f3a1c9d"] = (200, documents.job(prompt="p", thread=thread, change=change))
    out = stitcher("show", "7f3a1c9d")[1]
    assert "thread    https://forge/7" in out
    assert "\x1b" not in out
    assert "javascript" not in out


def test_the_size_of_a_change_is_printed_once(api: FakeApi, stitcher: RunStitcher) -> None:
    result = {"commit": "4be1f00d", "files": 1, "additions": 2, "deletions": 2, "summary": "+2 -2 in 1 file"}
    api.answers["GET /runner-jobs/7f3a1c9d"] = (200, documents.job(prompt="p", result=result))
    out = stitcher("show", "7f3a1c9d")[1]
    assert out.count("+2 -2 in 1 file") == 1
    assert "1 files" not in out


def test_show_prints_what_the_agent_of_each_try_was_sent_and_answered(api: FakeApi, stitcher: RunStitcher) -> None:
    agent = {"type": "AI_ACTION", "phase": "EXECUTION"}
    steps = [documents.step(number, "claude", **agent, **{"try": number}) for number in (1, 2)]
    job = documents.job(prompt="p", metadata={}, steps=[documents.step(3, "tests"), *steps])
    api.answers["GET /runner-jobs/7f3a1c9d"] = (200, job)
    for number in (1, 2):
        path = f"GET /runner-jobs/{job['id']}/steps/step-{number}"
        api.answers[f"{path}/conversation"] = (200, f"=== prompt ===\ndo {number}\n".encode())
        api.answers[f"{path}/log"] = (404, documents.problem(404, "not_found", "no raw output"))
    code, out, _ = stitcher("show", "7f3a1c9d", "--conversation")
    assert (code, out) == (0, "=== prompt ===\ndo 1\n=== prompt ===\ndo 2\n")
    code, out, _ = stitcher("show", "7f3a1c9d", "--conversation", "--json")
    assert [json.loads(line)["text"] for line in out.splitlines()] == [f"=== prompt ===\ndo {n}\n" for n in (1, 2)]
    code, out, err = stitcher("show", "7f3a1c9d", "--raw")
    assert (code, out) == (5, "")
    assert "no raw output" in err
    api.answers["GET /runner-jobs/7f3a1c9d"] = (200, {**job, "steps": []})
    assert stitcher("show", "7f3a1c9d", "--conversation")[0] == 5
