"""What the tests of reporting report: jobs, deliveries and rules, of which a test cares about a few fields."""

from typing import Any

from shared.deliveries import Delivery, Via
from shared.ids import format_timestamp
from shared.models import (
    Decision,
    JobStep,
    Phase,
    Remedy,
    RunnerJob,
    Status,
    StepStatus,
    StepType,
    Thread,
    Tries,
    Usage,
    Verdict,
)
from stitcherd.rails.compiled import ReportRules
from stitcherd.reporting.contents import JobReport
from stitcherd.reporting.desired import Place
from stitcherd.sources.trigger import Command, Trigger

THREAD = Thread("issue", 479, "Pagination drops the last row", None, "github:octocat")
PLACE = Place(source="github", workspace="default", repository="octo-org/api")
RULES = ReportRules(acknowledge=True, comment=True, status="stitcher/{job}")
JOB_ID = "0199f3a1-5c2f-7a60-8e21-5b1f7f3a1c9d"
CREATED = 1_764_000_000_000


def make_job(**more: Any) -> RunnerJob:
    defaults: dict[str, Any] = {
        "id": JOB_ID,
        "workspace_id": "default",
        "agent_task_id": None,
        "type": "fix",
        "status": Status.RUNNING,
        "priority": 5,
        "profile": "weaver",
        "executor": "agent",
        "repository": "octo-org/api",
        "ref": "main",
        "thread": THREAD,
        "attempt": 1,
        "tries": Tries(1, 3),
        "error": None,
        "usage": Usage(),
        "rails_revision": "r-1",
        "rails_digest": "1" * 64,
        "delivery_id": "delivery-1",
        "branch": "stitcher/5b1f7f3a1c9d",
        "actor": "source:github/octocat",
        "created_at": format_timestamp(CREATED),
        "queued_at": None,
        "started_at": None,
        "completed_at": None,
        "cancel_requested": False,
        "version": 1,
        "last_event": "job.started",
    }
    return RunnerJob(**defaults | more)


def make_step(name: str, status: StepStatus, type_: StepType = StepType.GATE, **more: Any) -> JobStep:
    defaults: dict[str, Any] = {"id": name, "job_id": JOB_ID, "attempt": 1, "try_": 1, "ordinal": 1}
    return JobStep(**defaults | {"phase": Phase.VALIDATION, "type": type_, "name": name, "status": status} | more)


def make_report(**more: Any) -> JobReport:
    defaults: dict[str, Any] = {
        "id": JOB_ID,
        "type": "fix",
        "status": Status.RUNNING,
        "asker": "octocat",
        "attempt": 1,
        "try_": 2,
        "tries_max": 3,
    }
    return JobReport(**defaults | more)


def make_delivery(verdict: Verdict = Verdict.ALLOWED, **more: Any) -> Delivery:
    reason = "who: github:octocat is in none of team"
    remedy = Remedy("add github:octocat to team", 9) if verdict is Verdict.DENIED else None
    defaults: dict[str, Any] = {
        "id": "delivery-1",
        "source": "github",
        "kind": "github",
        "workspace_id": "default",
        "external_id": None,
        "received_at": format_timestamp(CREATED),
        "event": "issue_comment",
        "action": "created",
        "trigger": "issue.comment",
        "sender": "github:octocat",
        "repository": "octo-org/api",
        "thread": THREAD,
        "body_bytes": 1,
        "body_sha256": "0" * 64,
        "secret": 1,
        "subject": None,
        "via": Via.WEBHOOK,
        "headers": {},
        "verdict": verdict,
        "reason": reason,
        "job_id": JOB_ID if verdict is Verdict.ALLOWED else None,
        "replay_of": None,
        "decision": Decision(verdict, reason, "r-1", trigger="fix", remedy=remedy),
    }
    return Delivery(**defaults | more)


def make_trigger(*verbs: str, **more: Any) -> Trigger:
    defaults: dict[str, Any] = {
        "source": "github",
        "event": "issue_comment",
        "name": "issue.comment",
        "sender": "github:octocat",
        "author": "github:octocat",
        "repository": "octo-org/api",
        "thread": THREAD,
        "comment_id": "991",
        "commands": tuple(Command(verb, "") for verb in verbs),
    }
    return Trigger(**defaults | more)
