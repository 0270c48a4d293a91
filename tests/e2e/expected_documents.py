"""The documents of the API that programs rely on, as shapes to compare with."""

import re

from tests.e2e.shapes import ID, REVISION, SHA1, SHA256, TIME

NUMBER = (int, float)
TEXT = (str, None)
CHECK = {
    "id": str,
    "kind": re.compile("trigger|who|guard|capability|limit"),
    "outcome": re.compile("pass|fail|ask|skip|unreached"),
    "line": (int, None),
    "seen": TEXT,
    "wanted": TEXT,
    "because": TEXT,
}
DECISION = {
    "verdict": str,
    "reason": str,
    "railsRevision": REVISION,
    "railsDigest": SHA256,
    "trigger": TEXT,
    "sandbox": TEXT,
    "micros": int,
    "remedy": ({"text": str, "line": (int, None)}, None),
    "checks": [CHECK],
}
THREAD = {
    "kind": "issue",
    "number": int,
    "title": "Pagination drops the last row",
    "url": re.compile(r"https://github\.com/octo-org/api/issues/\d+"),
    "author": "github:octocat",
}
STEP = {
    "id": ID,
    "jobId": ID,
    "attempt": 1,
    "try": (None, int),
    "ordinal": int,
    "phase": re.compile("SETUP|EXECUTION|VALIDATION|CLEANUP"),
    "type": re.compile("COMMAND|AI_ACTION|GATE|ARTIFACT"),
    "name": str,
    "status": re.compile("PENDING|RUNNING|COMPLETED|FAILED|SKIPPED"),
    "exitCode": (int, None),
    "output": str,
    "outputBytes": int,
    "tokensInput": (int, None),
    "tokensOutput": (int, None),
    "startedAt": TIME,
    "completedAt": TIME,
    "durationMs": int,
}
EVENT = {
    "id": int,
    "jobId": ID,
    "stepId": (ID, None),
    "type": str,
    "actor": str,
    "timestamp": TIME,
    "payload": dict,
    "hash": SHA256,
}
LISTED = {
    "id": ID,
    "workspaceId": "default",
    "agentTaskId": None,
    "type": "fix",
    "status": "COMPLETED",
    "priority": 5,
    "profile": "weaver",
    "executor": "agent",
    "repository": "octo-org/api",
    "ref": "main",
    "thread": THREAD,
    "attempt": 1,
    "tries": {"used": 2, "max": 3},
    "error": None,
    "usage": {"inputTokens": int, "outputTokens": int, "costUsd": NUMBER},
    "railsRevision": REVISION,
    "railsDigest": SHA256,
    "deliveryId": ID,
    "branch": re.compile("stitcher/[0-9a-f]{12}"),
    "actor": "source:github/octocat",
    "createdAt": TIME,
    "queuedAt": TIME,
    "startedAt": TIME,
    "completedAt": TIME,
    "cancelRequested": False,
    "version": int,
    "lastEvent": "job.completed",
    "currentStep": None,
    "lastLine": "+1 -0 in 1 file",
}
LONG = {"prompt", "result", "metadata", "steps", "events", "decision"}
RESULT = {"commit": SHA1, "files": 1, "additions": 1, "deletions": 0, "summary": str}
JOB = {
    **LISTED,
    "prompt": re.compile(r"echo .*\n\n> .*", re.DOTALL),
    "result": RESULT,
    "metadata": {},
    "steps": [STEP],
    "events": [EVENT],
    "decision": DECISION,
}
DELIVERY = {
    "id": ID,
    "source": "github",
    "kind": "github",
    "workspaceId": "default",
    "externalId": str,
    "receivedAt": TIME,
    "event": "issue_comment",
    "action": "created",
    "trigger": "issue.comment",
    "sender": "github:octocat",
    "repository": "octo-org/api",
    "thread": THREAD,
    "bodyBytes": int,
    "bodySha256": SHA256,
    "secret": 1,
    "headers": dict,
    "verdict": "allowed",
    "reason": "trigger fix-on-command",
    "jobId": ID,
    "replayOf": None,
    "subject": str,
    "via": "webhook",
}


def webhook(verdict: str, job: object, status: object, reason: object) -> dict[str, object]:
    return {"deliveryId": ID, "verdict": verdict, "jobId": job, "status": status, "reason": reason}


def problem(status: int, title: str, code: str, detail: str, hint: object = None) -> dict[str, object]:
    named = {"type": "about:blank", "title": title, "status": status}
    return {**named, "code": code, "detail": detail, "hint": hint}
