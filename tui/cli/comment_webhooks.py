"""Webhooks of new comments on issues, as each kind of sender sends and signs them."""

import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct


class NewComment(Struct, frozen=True):
    """A new comment by `login` on an issue of `author`; `ids` has those of the accounts that have one."""

    repository: str
    issue: int
    title: str
    author: str
    login: str
    text: str
    id: int
    ids: Mapping[str, int] = {}

    def account(self, login: str) -> dict[str, Any]:
        """Return an account as a forge shows it; without an id, nothing is remembered about its login."""
        return {**self.id_of(login), "login": login}

    def id_of(self, login: str, name: str = "id") -> dict[str, int]:
        """Return the field `name` with the id of an account, no field if it has none."""
        return {name: self.ids[login]} if login in self.ids else {}


def comment_body(kind: str, comment: NewComment) -> bytes:
    """Return the body of the webhook with the fields that matter, as a source of this kind reads it."""
    document = {"gitlab": _gitlab_document, "mosaic": _mosaic_document}.get(kind, _github_document)(comment)
    return json.dumps(document).encode()


def comment_headers(kind: str, secret: str, body: bytes) -> dict[str, str]:
    """Return the headers of the webhook, with its signature and an id of its own."""
    return {"Content-Type": "application/json", **_HEADERS[kind](secret, body)}


def sign(secret: str, body: bytes) -> str:
    """Return the value of `X-Hub-Signature-256`: the HMAC-SHA256 of the body."""
    return f"sha256={_digest(secret, body)}"


def _digest(secret: str, body: bytes) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def _github_document(comment: NewComment) -> dict[str, Any]:
    home = f"https://github.com/{comment.repository}"
    owner, _, name = comment.repository.rpartition("/")
    return {
        "action": "created",
        "issue": {
            "number": comment.issue,
            "title": comment.title,
            "body": "See the tests.",
            "state": "open",
            "html_url": f"{home}/issues/{comment.issue}",
            "user": comment.account(comment.author),
            "labels": [],
            "assignees": [],
        },
        "comment": {
            "id": comment.id,
            "html_url": f"{home}/issues/{comment.issue}#issuecomment-{comment.issue}001",
            "user": comment.account(comment.login),
            "body": comment.text,
        },
        "repository": {
            "id": 1296269,
            "name": name,
            "full_name": comment.repository,
            "private": False,
            "html_url": home,
            "default_branch": "main",
            "owner": {"login": owner, "type": "Organization"},
        },
        "sender": comment.account(comment.login),
    }


def _gitlab_document(comment: NewComment) -> dict[str, Any]:
    home = f"https://gitlab.com/{comment.repository}"
    owner, _, name = comment.repository.rpartition("/")
    now = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    return {
        "object_kind": "note",
        "event_type": "note",
        "user": {"name": comment.login, "username": comment.login, **comment.id_of(comment.login)},
        "project": {
            "name": name,
            "web_url": home,
            "namespace": owner,
            "path_with_namespace": comment.repository,
            "default_branch": "main",
        },
        "object_attributes": {
            "id": comment.id,
            **comment.id_of(comment.login, "author_id"),
            "note": comment.text,
            "noteable_type": "Issue",
            "system": False,
            "internal": False,
            "action": "create",
            "created_at": now,
            "updated_at": now,
            "url": f"{home}/-/issues/{comment.issue}#note_{comment.id}",
        },
        "issue": {
            "iid": comment.issue,
            **comment.id_of(comment.author, "author_id"),
            "title": comment.title,
            "description": "See the tests.",
            "confidential": False,
            "state": "opened",
            "labels": [],
            "url": f"{home}/-/issues/{comment.issue}",
        },
    }


def _mosaic_document(comment: NewComment) -> dict[str, Any]:
    return {
        "issueNumber": str(comment.issue),
        "repository": comment.repository,
        "action": "commented",
        "comment": comment.text,
        "metadata": {"title": comment.title, **({"author": comment.login} if comment.login else {})},
    }


def _github_headers(secret: str, body: bytes) -> dict[str, str]:
    return {
        "User-Agent": "GitHub-Hookshot/stitcher",
        "X-GitHub-Event": "issue_comment",
        "X-GitHub-Delivery": str(uuid.uuid4()),
        "X-Hub-Signature-256": sign(secret, body),
    }


def _gitea_headers(secret: str, body: bytes) -> dict[str, str]:
    return {
        "User-Agent": "Gitea/stitcher",
        "X-Gitea-Event": "issue_comment",
        "X-Gitea-Delivery": str(uuid.uuid4()),
        "X-Gitea-Signature": _digest(secret, body),
    }


def _gitlab_headers(secret: str, _body: bytes) -> dict[str, str]:
    return {
        "User-Agent": "GitLab/stitcher",
        "X-Gitlab-Event": "Note Hook",
        "X-Gitlab-Token": secret,
        "Idempotency-Key": str(uuid.uuid4()),
    }


def _mosaic_headers(secret: str, body: bytes) -> dict[str, str]:
    return {"X-Mosaic-Delivery": str(uuid.uuid4()), "X-Mosaic-Signature": sign(secret, body)}


_HEADERS: dict[str, Callable[[str, bytes], dict[str, str]]] = {
    "github": _github_headers,
    "gitea": _gitea_headers,
    "gitlab": _gitlab_headers,
    "mosaic": _mosaic_headers,
}
