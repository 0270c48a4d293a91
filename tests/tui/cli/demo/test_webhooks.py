"""The demo's webhooks."""

import hashlib
import hmac
import json

from tui.cli.demo import webhooks


def test_comments_are_signed_as_github_signs() -> None:
    published = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert webhooks.sign("It's a Secret to Everybody", b"Hello, World!") == published
    body = webhooks.comment_body(webhooks.IssueComment(480, "t", "drive-by", "@mosaic fix it"))
    digest = hmac.new(b"k", body, hashlib.sha256).hexdigest()
    assert webhooks.sign("k", body) == f"sha256={digest}"
    document = json.loads(body)
    assert (document["action"], document["sender"]["login"]) == ("created", "drive-by")
    assert document["issue"]["number"] == 480
    assert document["comment"]["body"] == "@mosaic fix it"
    assert document["repository"]["full_name"] == "octo-org/api"
