"""JSON documents in the shapes that the daemon answers with."""

from typing import Any

Document = dict[str, Any]


def problem(status: int, code: str, detail: str, **more: Any) -> Document:
    return {
        "type": "about:blank",
        "title": "No",
        "status": status,
        "code": code,
        "detail": detail,
        "hint": None,
        **more,
    }


DIGEST = "4f2a91c0" + "0" * 56  # of the rails
JOB = "0199f3a1-5c2f-7a60-8e21-5b1f7f3a1c9d"


def job(**more: Any) -> Document:
    """Return a job as lists contain it."""
    return {
        "id": JOB,
        "workspaceId": "default",
        "agentTaskId": None,
        "type": "fix",
        "status": "COMPLETED",
        "priority": 5,
        "profile": "weaver",
        "executor": "agent",
        "repository": "octo-org/api",
        "ref": "main",
        "thread": {
            "kind": "issue",
            "number": 479,
            "title": "Pagination drops the last row",
            "url": None,
            "author": None,
        },
        "attempt": 1,
        "tries": {"used": 2, "max": 3},
        "error": None,
        "usage": {"inputTokens": 18211, "outputTokens": 1904, "costUsd": 0.21},
        "railsRevision": "r-4f2a91c0",
        "railsDigest": DIGEST,
        "deliveryId": None,
        "branch": "stitcher/5b1f7f3a1c9d",
        "actor": "source:github/octocat",
        "createdAt": "2026-11-22T14:02:11.284Z",
        "queuedAt": "2026-11-22T14:02:11.284Z",
        "startedAt": "2026-11-22T14:02:11.290Z",
        "completedAt": "2026-11-22T14:04:51.010Z",
        "cancelRequested": False,
        "version": 9,
        "lastEvent": "job.completed",
        "currentStep": None,
        "lastLine": None,
        **more,
    }


def step(ordinal: int, name: str, **more: Any) -> Document:
    return {
        "id": f"step-{ordinal}",
        "jobId": JOB,
        "attempt": 1,
        "try": None,
        "ordinal": ordinal,
        "phase": "SETUP",
        "type": "COMMAND",
        "name": name,
        "status": "COMPLETED",
        "exitCode": 0,
        "output": "",
        "outputBytes": 0,
        "tokensInput": None,
        "tokensOutput": None,
        "startedAt": "2026-11-22T14:02:11.290Z",
        "completedAt": "2026-11-22T14:02:12.394Z",
        "durationMs": 1104,
        **more,
    }


def event(number: int, type_: str, step_id: str | None = None, **payload: Any) -> Document:
    return {
        "id": number,
        "jobId": JOB,
        "stepId": step_id,
        "type": type_,
        "actor": "stitcherd",
        "timestamp": "2026-11-22T14:02:11.284Z",
        "payload": payload,
    }


DECISION: Document = {
    "verdict": "denied",
    "reason": "who: github:drive-by is in none of team, mosaic",
    "railsRevision": "r-4f2a91c0",
    "railsDigest": DIGEST,
    "trigger": "fix-on-command",
    "sandbox": "none",
    "micros": 41,
    "remedy": {"text": "add github:drive-by to team", "line": 9},
    "checks": [
        {"id": "trigger:fix-on-command", "kind": "trigger", "outcome": "pass", "line": 41, "seen": "@mosaic fix",
         "wanted": "command fix", "because": None},
        {"id": "who", "kind": "who", "outcome": "fail", "line": 9, "seen": "github:drive-by",
         "wanted": "team or mosaic", "because": None},
        {"id": "guard:freeze", "kind": "guard", "outcome": "skip", "line": 63, "seen": None, "wanted": None,
         "because": "does not apply"},
        {"id": "capabilities", "kind": "capability", "outcome": "unreached", "line": None, "seen": None,
         "wanted": None, "because": None},
    ],
}  # fmt: skip

DELIVERY: Document = {
    "id": "0199f3a1-5c2e-7d11-9a44-0c7b7f3a1c02",
    "source": "github",
    "kind": "github",
    "workspaceId": "default",
    "externalId": None,
    "receivedAt": "2026-11-22T14:02:11.284Z",
    "event": "issue_comment",
    "action": "created",
    "trigger": "issue.comment",
    "sender": "github:drive-by",
    "repository": "octo-org/api",
    "thread": {"kind": "issue", "number": 480, "title": "t", "url": None, "author": None},
    "bodyBytes": 11214,
    "bodySha256": "00",
    "secret": 1,
    "headers": {},
    "verdict": "denied",
    "reason": DECISION["reason"],
    "jobId": None,
    "replayOf": None,
    "subject": "comment:991",
    "via": "webhook",
    "decision": DECISION,
}


def stats_item(key: str, **more: Any) -> Document:
    """Return the statistics of one group."""
    return {
        "key": key,
        "jobs": {"completed": 41, "failed": 6, "cancelled": 1},
        "durationMs": {"p50": 161_000, "p95": 902_000},
        "queueWaitMs": {"p50": 12, "p95": 48_000},
        "gates": [
            {"name": "lint", "passed": 56, "failed": 1, "durationMs": {"p50": 1000}},
            {"name": "tests", "passed": 44, "failed": 13, "durationMs": {"p50": 22_800}},
        ],
        "tries": {"first": 30, "later": 17},
        "inputTokens": 1_820_000,
        "outputTokens": 92_000,
        "costUsd": 9.41,
        **more,
    }


def stats(*items: Document, by: str = "day") -> Document:
    """Return an answer with the statistics of groups."""
    return {"since": "2026-11-08T00:00:00.000Z", "by": by, "items": list(items)}
