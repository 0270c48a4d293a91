"""A fake daemon with a job in every state, for pictures: what its jobs printed and changed are those of the demo."""

from tests.tui import documents
from tests.tui.documents import Document
from tests.tui.fake_daemon import FakeDaemon

STAMPS = {"queuedAt": "2026-11-22T14:02:03.000Z", "startedAt": "2026-11-22T14:02:13.000Z"}
NEVER_RAN = {"startedAt": None, "completedAt": None, "usage": {}, "tries": {"used": 0, "max": 3}}
RUNS = {"status": "RUNNING", "completedAt": None, "lastEvent": "step.started"}
WAITING = {"guards": ["outsider-text"], "by": ["maintainers"], "expiresAt": "2026-11-23T13:30:00.000Z"}
CHECKS: list[Document] = [
    {"id": "trigger:fix-on-command", "kind": "trigger", "outcome": "pass", "line": 41, "seen": "@mosaic fix",
     "wanted": "command fix", "because": None},
    {"id": "who", "kind": "who", "outcome": "pass", "line": 9, "seen": "github:octocat",
     "wanted": "team or mosaic", "because": "users"},
    {"id": "guard:outsider-text", "kind": "guard", "outcome": "skip", "line": 63, "seen": "github:octocat",
     "wanted": "not in team, mosaic", "because": "does not apply"},
    {"id": "capabilities", "kind": "capability", "outcome": "pass", "line": 34, "seen": "fix needs repo:write",
     "wanted": "weaver has it", "because": None},
    {"id": "limits", "kind": "limit", "outcome": "pass", "line": 80, "seen": "0 of 1 running here",
     "wanted": "at most 1", "because": None},
]  # fmt: skip
ALLOWED: Document = {
    **documents.DECISION,
    "verdict": "allowed",
    "reason": "trigger fix-on-command",
    "remedy": None,
    "checks": CHECKS,
}
ASKS = {**CHECKS[2], "outcome": "ask", "seen": "author github:drive-by", "because": "approval by maintainers"}
UNDECIDED: Document = {
    **ALLOWED,
    "verdict": "waiting",
    "reason": "guard outsider-text wants an approval",
    "remedy": {"text": "a maintainer approves, or add github:drive-by to team", "line": 9},
    "checks": [*CHECKS[:2], ASKS, *CHECKS[3:]],
}
AGENT_LOG = b"""\
I am a scripted stand-in, not a model.
I read: Fix what the issue says; the tests must pass.
pages.py: a page ended one row early. Fixed, and I believe that was all.
"""
GATE_LOG = b"""\
test_a_half_full_page_counts (test_pages.PagesTest.test_a_half_full_page_counts) ... FAIL
test_a_page_has_its_last_row (test_pages.PagesTest.test_a_page_has_its_last_row) ... ok
test_no_rows_fill_no_page (test_pages.PagesTest.test_no_rows_fill_no_page) ... ok

======================================================================
FAIL: test_a_half_full_page_counts (test_pages.PagesTest.test_a_half_full_page_counts)
----------------------------------------------------------------------
Traceback (most recent call last):
  File "test_pages.py", line 13, in test_a_half_full_page_counts
    self.assertEqual(pages(ROWS, 10), 3)
AssertionError: 2 != 3

----------------------------------------------------------------------
Ran 3 tests in 0.001s

FAILED (failures=1)
"""
DIFF = b"""\
 pages.py | 2 +-
 1 file changed, 1 insertion(+), 1 deletion(-)

diff --git a/pages.py b/pages.py
index e0b706b..cb4d38f 100644
--- a/pages.py
+++ b/pages.py
@@ -4,7 +4,7 @@
 def page(rows, number, size):
     \"\"\"Return page `number`, counted from 1, of `size` rows.\"\"\"
     start = (number - 1) * size
-    return rows[start : start + size - 1]
+    return rows[start : start + size]
\x20
\x20
 def pages(rows, size):
"""


def fill_busy_daemon(daemon: FakeDaemon) -> None:
    """Add a job in every state, of which the newest failed its gate twice, what belongs to them, and statistics."""
    daemon.stats = _stats()
    daemon.job(477, lastLine="+34 -6 in 3 files", thread=_thread("Sort stays after a reload"), **STAMPS)
    daemon.job(88, status="CANCELLED", type="triage", repository="octo-org/web", tries={"used": 1, "max": 1}, usage={},
               lastLine="by uid:1000: a duplicate", thread=_thread("The footer overlaps"))  # fmt: skip
    daemon.job(476, status="QUEUED", held="limit: 1 running on octo-org/api", **NEVER_RAN)
    waits = daemon.job(480, status="PENDING", waiting=WAITING, queuedAt=None, **NEVER_RAN)
    reads = {"currentStep": _step("agent", "AI_ACTION", 13, 2_400_000), "lastLine": "read src/router.ts"}
    long = "octo-org/a-rather-long-name-of-a-repository"
    daemon.job(91, type="review", repository=long, **reads, **RUNS, **STAMPS)
    used = {"inputTokens": 71000, "outputTokens": 900, "costUsd": 0.88}
    tried = {"tries": {"used": 2, "max": 3}, "usage": used}
    running = daemon.job(482, currentStep=_step("tests", "GATE", 117, 600_000), **RUNS, **tried, **STAMPS)
    error = {"code": "gates_failed", "detail": "gate tests failed in try 2 of 2", "hint": "see the gate's log"}
    failed = daemon.job(479, status="FAILED", error=error, lastLine="tests: FAILED (failures=1)",
                        tries={"used": 2, "max": 2}, usage=used, **STAMPS)  # fmt: skip
    steps = _steps()
    for each in steps:
        daemon.logs[each["id"]] = AGENT_LOG if each["name"] == "agent" else GATE_LOG
    daemon.diffs[f"{failed['id']}/1"] = DIFF
    for each in (running, failed):
        daemon.details[each["id"]] = {"steps": steps, "decision": ALLOWED}
    daemon.details[waits["id"]] = {"decision": UNDECIDED}
    daemon.deliveries.append(documents.DELIVERY)
    change = {"what": "job fix", "change": "changed", "keys": ["tries"], "line": 7}
    before = daemon.rails["text"].replace("tries: 3", "tries: 2")
    daemon.rails.update({"before": "r-51bc0000", "changes": [change], "beforeText": before})
    for type_, job, payload in (
        ("job.started", failed, {"attempt": 1}),
        ("step.started", failed, {"name": "tests", "try": 2, "phase": "VALIDATION"}),
        ("step.output", failed, {"offset": 0, "length": 20, "text": "FAILED (failures=1)\n"}),
        ("job.waiting", waits, {"guards": ["outsider-text"], "by": ["maintainers"]}),
        ("gate.failed", failed, {"name": "tests", "exitCode": 1}),
    ):
        daemon.commit_event(type_, job, **payload)


def break_rails(daemon: FakeDaemon) -> None:
    """Give the newest text of the rails an error."""
    error = {"line": 34, "column": 17, "message": "unknown capability 'git:comit'", "at": None}
    daemon.rails["error"] = {**error, "source": "    capabilities: [git:comit]"}


def _steps() -> list[Document]:
    steps = [documents.step(1, "checkout", startedAt=_at(13), completedAt=_at(16))]
    for number, start in ((1, 16), (2, 73)):
        for name, phase, type_, first, last, status in (
            ("agent", "EXECUTION", "AI_ACTION", start, start + 38, "COMPLETED"),
            ("scope", "VALIDATION", "GATE", start + 38, start + 44, "COMPLETED"),
            ("tests", "VALIDATION", "GATE", start + 44, start + 57, "FAILED"),
        ):
            more = {"try": number, "exitCode": int(status == "FAILED")}
            steps.append(documents.step(len(steps) + 1, name, phase=phase, type=type_, status=status,
                                        startedAt=_at(first), completedAt=_at(last), **more))  # fmt: skip
    return steps


def _thread(title: str) -> Document:
    return {"kind": "issue", "number": 0, "title": title, "url": None, "author": None}


def _step(name: str, type_: str, second: int, timeout: int) -> Document:
    return {"name": name, "type": type_, "startedAt": _at(second), "timeoutMs": timeout}


def _at(second: int) -> str:
    return f"2026-11-22T14:{2 + second // 60:02}:{second % 60:02}.000Z"


def _stats() -> dict[str, list[Document]]:
    """Return statistics of two weeks, in some days of which nothing ran, by each grouping."""
    counts = ((9, 31, 2), (10, 44, 0), (11, 12, 9), (12, 60, 5), (16, 28, 1), (17, 9, 0), (22, 41, 6))
    days = [_day(number, completed, failed) for number, completed, failed in counts]
    api, web = _day(22, 180, 11), {**_day(22, 44, 3), "gates": [], "costUsd": 4.2}
    none = {**_day(22, 1, 0), "gates": [], "costUsd": 0, "inputTokens": 0, "outputTokens": 0}
    names = {"octo-org/api": api, "octo-org/web": web, "": none}
    return {
        "day": days,
        "hour": [{**days[-1], "key": "2026-11-22T13:00Z"}],
        "type": [{**api, "key": "fix"}, {**web, "key": "a, odd type"}],
        "executor": [{**api, "key": "agent"}],
        "repository": [{**item, "key": key} for key, item in names.items()],
    }


def _day(number: int, completed: int, failed: int) -> Document:
    jobs = {"completed": completed, "failed": failed, "cancelled": failed // 4}
    tries = {"first": completed * 2 // 3, "later": completed - completed * 2 // 3 + failed}
    return documents.stats_item(f"2026-11-{number:02}", jobs=jobs, tries=tries, costUsd=completed * 0.23)
