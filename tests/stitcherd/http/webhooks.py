"""Signed GitHub webhooks of the two sources of the harness."""

import hmac
import json
import uuid
from typing import Any

from tests.stitcherd.http.conftest import SECRET, HttpHarness


def comment_body(text: str, *, repository: str = "near-org/api", issue: int = 1, **more: Any) -> bytes:
    """Return the body of a new comment by octocat on an issue by octocat."""
    user = {"login": "octocat"}
    issue_ = {"number": issue, "title": "A row is lost", "user": user, "labels": []}
    comment = {"id": uuid.uuid4().int >> 80, "body": text, "user": user}
    document = {"action": "created", "issue": issue_, "comment": comment, "sender": user}
    return json.dumps({**document, "repository": {"full_name": repository}, **more}).encode()


def signed_headers(body: bytes, event: str = "issue_comment") -> dict[str, str]:
    """Return the headers of a delivery with a new id."""
    proof = hmac.digest(SECRET.encode(), body, "sha256").hex()
    return {
        "Content-Type": "application/json",
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": str(uuid.uuid4()),
        "X-Hub-Signature-256": f"sha256={proof}",
    }


async def send_webhook(api: HttpHarness, source: str, body: bytes, **headers: str) -> tuple[int, Any]:
    """Send a signed webhook; return the status and the JSON of the response."""
    given = {**signed_headers(body), **headers}
    return await api.public.request("POST", f"/stitcher/webhook/{source}", data=body, headers=given)
