"""What GitHub would send: the body of a new comment, signed with the webhook's secret."""

import hashlib
import hmac
import json
import uuid
from http.client import HTTPConnection
from typing import Any

import msgspec

from shared.api import WebhookResponse
from tui.cli.demo.daemon import DemoFailed
from tui.cli.demo.environment import MEMBER, REPOSITORY, DemoEnvironment
from tui.client.http import decode

_ROUTE = "/stitcher/webhook/github"
_PATIENCE = 10.0  # seconds; GitHub itself waits no longer


class IssueComment(msgspec.Struct, frozen=True):
    """A new comment on an issue that `octocat` opened."""

    issue: int
    title: str
    login: str
    text: str


def comment_body(comment: IssueComment) -> bytes:
    """Return the `issue_comment` body with what GitHub's own has that says anything."""
    home = f"https://github.com/{REPOSITORY}"
    owner, name = REPOSITORY.split("/")
    document: dict[str, Any] = {
        "action": "created",
        "issue": {
            "number": comment.issue,
            "title": comment.title,
            "body": "See the tests.",
            "state": "open",
            "html_url": f"{home}/issues/{comment.issue}",
            "user": _account(MEMBER),
            "labels": [],
            "assignees": [],
        },
        "comment": {
            "id": comment.issue * 1000 + 1,
            "html_url": f"{home}/issues/{comment.issue}#issuecomment-{comment.issue}001",
            "user": _account(comment.login),
            "body": comment.text,
        },
        "repository": {
            "id": 1296269,
            "name": name,
            "full_name": REPOSITORY,
            "private": False,
            "html_url": home,
            "default_branch": "main",
            "owner": _account(owner),
        },
        "sender": _account(comment.login),
    }
    return json.dumps(document).encode()


def sign(secret: str, content: bytes) -> str:
    """Return the value of `X-Hub-Signature-256`: HMAC-SHA256 of the bytes as they are sent."""
    return f"sha256={hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()}"


def send_comment(stage: DemoEnvironment, comment: IssueComment) -> tuple[int, WebhookResponse]:
    """Deliver a comment to the daemon's public door; return the status and the answer."""
    content = comment_body(comment)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "GitHub-Hookshot/demo",
        "X-GitHub-Event": "issue_comment",
        "X-GitHub-Delivery": str(uuid.uuid4()),
        "X-Hub-Signature-256": sign(stage.secret, content),
    }
    connection = HTTPConnection("127.0.0.1", stage.port, timeout=_PATIENCE)
    try:
        connection.request("POST", _ROUTE, content, headers)
        response = connection.getresponse()
        status, answer = response.status, response.read()
    finally:
        connection.close()
    if status >= 400:
        raise DemoFailed(f"the webhook was answered {status}: {answer.decode('utf-8', 'replace')[:300]}")
    return status, decode(answer, WebhookResponse)


def _account(login: str) -> dict[str, Any]:
    return {"login": login, "type": "User", "html_url": f"https://github.com/{login}"}
