"""Webhooks in the format of GitHub: bodies of comments, and signed headers."""

import hmac
import json
import uuid

SECRETS = {"github": "first-secret-of-github", "mosaic": "the-secret-of-mosaic"}
OLD_SECRET = "second-secret-of-github"


def signed_headers(body: bytes, secret: str | None = None) -> dict[str, str]:
    """Return the headers of a comment, with a valid signature and a unique delivery id."""
    proof = hmac.digest((secret or SECRETS["github"]).encode(), body, "sha256").hex()
    return {
        "Content-Type": "application/json",
        "X-GitHub-Event": "issue_comment",
        "X-GitHub-Delivery": str(uuid.uuid4()),
        "X-Hub-Signature-256": f"sha256={proof}",
    }


def comment_body(
    text: str,
    *,
    issue: int = 479,
    login: str = "octocat",
    repository: str = "octo-org/api",
    title: str = "Pagination drops the last row",
) -> bytes:
    """Return the body of a new comment on an issue of octocat, each with a unique id."""
    topic = {
        "number": issue,
        "title": title,
        "html_url": f"https://github.com/{repository}/issues/{issue}",
        "user": {"login": "octocat"},
        "labels": [],
    }
    document = {
        "action": "created",
        "issue": topic,
        "comment": {"id": uuid.uuid4().int >> 80, "body": text, "user": {"login": login}},
        "repository": {"full_name": repository},
        "sender": {"login": login},
    }
    return json.dumps(document).encode()


def change_comment_body(text: str, *, number: int, head: str | None = None, target: str = "main") -> bytes:
    """Return the body of a comment by octocat on a change of theirs.

    With a `head` it is a review comment, which names the head and the target of the change; else it is one in the
    conversation, which names neither.
    """
    document = json.loads(comment_body(text, issue=number))
    topic = document["issue"]
    topic["html_url"] = topic["html_url"].replace("/issues/", "/pull/")
    if head is None:
        topic["pull_request"] = {"url": topic["html_url"]}
        return json.dumps(document).encode()
    document["pull_request"] = document.pop("issue") | {
        "head": {"sha": head, "ref": "feature", "repo": {"full_name": "drive-by/api"}},
        "base": {"ref": target},
    }
    return json.dumps(document).encode()
