"""Webhooks of new comments, as each kind of forge sends them."""

import hmac
import json
from typing import Any

from tests.forges.fake import FakeAccount


def comment_webhook(
    kind: str,
    sender: FakeAccount,
    text: str,
    *,
    author: FakeAccount | None = None,
    number: int = 479,
    repository: str = "octo-org/api",
    comment: int | None = None,
    association: str = "NONE",
    change: bool = False,
) -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers, without a signature, of a new comment on an issue, by default of the sender.

    With `change` it is on a change of the repository.

    `comment` is the id of the comment; without it the webhook names none. `association` is what GitHub
    says of the sender.
    """
    author = author or sender
    id_ = {} if comment is None else {"id": comment}
    if kind == "gitlab":
        thread = {"iid": number, "title": "It leaks", "description": "a lot", "author_id": author.id}
        projects = {"source_project_id": 7, "target_project_id": 7} if change else {}
        document: dict[str, Any] = {
            "object_kind": "note",
            "user": {"id": sender.id, "username": sender.login},
            "project": {"path_with_namespace": repository},
            "object_attributes": id_
            | {
                "note": text,
                "noteable_type": "MergeRequest" if change else "Issue",
                "author_id": sender.id,
                "action": "create",
            },
            "merge_request" if change else "issue": thread | projects,
        }
        return json.dumps(document).encode(), {"X-Gitlab-Event": "Note Hook"}
    user, by = ({"id": each.id, "login": each.login} for each in (sender, author))
    document = {
        "action": "created",
        "issue": {"number": number, "title": "It leaks", "body": "a lot", "user": by}
        | ({"pull_request": {"url": "https://example.org"}} if change else {}),
        "comment": id_
        | {"body": text, "user": user}
        | ({"author_association": association} if kind == "github" else {}),
        "repository": {"full_name": repository},
        "sender": user,
    }
    if kind == "github":
        return json.dumps(document).encode(), {"X-GitHub-Event": "issue_comment"}
    type_ = {"X-Gitea-Event-Type": "pull_request_comment"} if change else {}
    return json.dumps(document | {"is_pull": change}).encode(), {"X-Gitea-Event": "issue_comment", **type_}


def signature(kind: str, body: bytes, secret: bytes) -> dict[str, str]:
    """Return the headers that prove that the sender of a body knows the secret."""
    digest = hmac.new(secret, body, "sha256").hexdigest()
    return {
        "github": {"X-Hub-Signature-256": f"sha256={digest}"},
        "gitea": {"X-Gitea-Signature": digest},
        "gitlab": {"X-Gitlab-Token": secret.decode()},
    }[kind]
