"""The time of a decision with 100 triggers and 100 guards, and the time to load such a file; both without I/O."""

import statistics
import time
from argparse import Namespace
from typing import Any

from shared.models import Thread, Verdict
from stitcherd.rails.decide import decide
from stitcherd.rails.load import parse_rails
from stitcherd.rails.requirements import ExecutorFacts, RuntimeFacts
from stitcherd.sources.trigger import Command, Quote, Trigger

MANY = 100
ASKED = 2000  # of each kind in each round
CEILING_US = 50

CASES: dict[str, tuple[Verdict, dict[str, Any]]] = {
    "allowed, by the last trigger": (Verdict.ALLOWED, {}),
    "waiting, for half the guards": (Verdict.WAITING, {"thread": Thread("issue", 7, "it leaks", None, "github:eve")}),
    "denied, by who": (Verdict.DENIED, {"sender": "github:eve", "author": "github:eve"}),
    "denied, by a guard": (Verdict.DENIED, {"labels": ("freeze-98",)}),
    "ignored, 100 near misses": (Verdict.IGNORED, {"commands": (Command("nothing", ""),)}),
    "ignored, no such event": (Verdict.IGNORED, {"name": "push"}),
}


def measure(options: Namespace) -> list[dict[str, Any]]:
    text = _rails()
    started = time.perf_counter()
    book = parse_rails(text)
    loaded = time.perf_counter() - started
    facts = RuntimeFacts(
        executors={"agent": ExecutorFacts(metered=True)}, bot="mosaic", account_ids={"github:octocat": "583231"}
    )
    rows: list[dict[str, Any]] = []
    for name, (verdict, changed) in CASES.items():
        trigger = _comment(**changed)
        if decide(trigger, book, facts).decision.verdict is not verdict:
            raise SystemExit(f"{name}: the verdict is not the expected one")
        took = []
        for _ in range(options.rounds * ASKED):
            started = time.perf_counter()
            decide(trigger, book, facts)
            took.append((time.perf_counter() - started) * 1e6)
        took.sort()
        p50, p99 = statistics.median(took), took[int(len(took) * 0.99)]
        rows.append({"row": f"{name:30}", "p50_us": round(p50, 1), "p99_us": round(p99, 1), "ceiling_us": CEILING_US})
    rows.append({"row": f"{'loading the file':30}", "ms": round(loaded * 1000, 1), "lines": text.count("\n")})
    return rows


def _rails() -> str:
    lines = ["version: 1", "people:"]
    lines += [f'  g{n}: {{users: ["github:u{n}", "github:octocat"]}}' for n in range(10)]
    lines += ["profiles:", "  p: {capabilities: [repo:read, repo:write, git:commit], executor: agent}"]
    lines += ["jobs:", "  fix: {profile: p, needs: [repo:write]}", "triggers:"]
    lines += [
        f'  - {{id: t{n}, on: [issue.comment], command: {"fix" if n == MANY - 1 else f"fix{n}"}, repos: ["o{n}/*", "octo-org/*",'
        f' "!octo-org/v{n}"], labels: {{none: [blocked]}}, from: [g{n % 10}], job: fix}}'
        for n in range(MANY)
    ]
    lines.append("guards:")
    for n in range(MANY):
        condition = f"author_of: [issue], not_in: [g{n % 10}]" if n % 2 else f"labels_any: [freeze-{n}, hold-{n}]"
        lines.append(f"  - {{id: w{n}, if: {{{condition}}}, then: {'require-approval' if n % 2 else 'deny'}}}")
    lines.append("limits: {running: {total: 4}, rate: {per_sender: 6/h, per_repo: 30/d, per_thread: 4/h}}")
    return "\n".join(lines) + "\n"


def _comment(**changed: Any) -> Trigger:
    usual: dict[str, Any] = {
        "source": "github",
        "event": "issue_comment",
        "action": "created",
        "name": "issue.comment",
        "sender": "github:octocat",
        "author": "github:octocat",
        "account_ids": {"github:octocat": ("583231",)},
        "repository": "octo-org/api",
        "thread": Thread("issue", 7, "it leaks", None, "github:octocat"),
        "labels": ("bug",),
        "commands": (Command("fix", "it"),),
        "quotes": (Quote("github:octocat", "title", "it leaks"), Quote("github:octocat", "body", "see there")),
    }
    return Trigger(**usual | changed)
