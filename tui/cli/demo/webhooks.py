"""The demo's webhooks: new issue comments, as GitHub or Gitea would send and sign them."""

import hashlib
import hmac
import json
import uuid
from typing import Any

import msgspec

from shared.deliveries import WebhookResponse
from tui.cli.demo.daemon import DemoFailed
from tui.cli.demo.environment import MEMBER, REPOSITORY, DemoEnvironment, account
from tui.client import listener
from tui.client.http import decode

_TIMEOUT = 10.0  # seconds, as GitHub's own


class IssueComment(msgspec.Struct, frozen=True):
    """A new comment on an issue that `octocat` opened."""

    issue: int
    title: str
    login: str
    text: str
    id: int | None = None  # of the comment, where there is a forge that has it


def send_comment(environment: DemoEnvironment, comment: IssueComment) -> tuple[int, WebhookResponse]:
    """Deliver a comment to the daemon's public listener; return the HTTP status and the response."""
    content = comment_body(comment)
    headers = {"Content-Type": "application/json", **_HEADERS[environment.source](environment.secret, content)}
    status, response = listener.post_webhook(
        "127.0.0.1", environment.port, environment.source, content, headers, _TIMEOUT
    )
    if status >= 400:
        raise DemoFailed(f"the webhook was answered {status}: {response.decode('utf-8', 'replace')[:300]}")
    return status, decode(response, WebhookResponse)


def comment_body(comment: IssueComment) -> bytes:
    """Return the body of an `issue_comment` webhook with the fields of GitHub's that matter."""
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
            "user": account(MEMBER),
            "labels": [],
            "assignees": [],
        },
        "comment": {
            "id": comment.id or comment.issue * 1000 + 1,
            "html_url": f"{home}/issues/{comment.issue}#issuecomment-{comment.issue}001",
            "user": account(comment.login),
            "body": comment.text,
        },
        "repository": {
            "id": 1296269,
            "name": name,
            "full_name": REPOSITORY,
            "private": False,
            "html_url": home,
            "default_branch": "main",
            "owner": {"login": owner, "type": "Organization"},
        },
        "sender": account(comment.login),
    }
    return json.dumps(document).encode()


def sign(secret: str, content: bytes) -> str:
    """Return the value of `X-Hub-Signature-256`: the HMAC-SHA256 of the body."""
    return f"sha256={_digest(secret, content)}"


def _digest(secret: str, content: bytes) -> str:
    return hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()


def _github_headers(secret: str, content: bytes) -> dict[str, str]:
    return {
        "User-Agent": "GitHub-Hookshot/demo",
        "X-GitHub-Event": "issue_comment",
        "X-GitHub-Delivery": str(uuid.uuid4()),
        "X-Hub-Signature-256": sign(secret, content),
    }


def _gitea_headers(secret: str, content: bytes) -> dict[str, str]:
    return {
        "User-Agent": "Gitea/demo",
        "X-Gitea-Event": "issue_comment",
        "X-Gitea-Delivery": str(uuid.uuid4()),
        "X-Gitea-Signature": _digest(secret, content),
    }


_HEADERS = {"github": _github_headers, "gitea": _gitea_headers}
