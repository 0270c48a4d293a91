"""Comments as each kind of sender tells them: each source accepts the signature and reads what was written."""

import json

import pytest
from multidict import CIMultiDict

from stitcherd.sources import SOURCES
from stitcherd.sources.base import BadSignature
from tui.cli.comment_webhooks import NewComment, comment_body, comment_headers, sign

KINDS = ("github", "gitea", "gitlab", "mosaic")
COMMENT = NewComment("octo-org/api", 480, "Pages", "octocat", "drive-by", "@mosaic fix it", 7)


def test_comments_are_signed_as_github_signs() -> None:
    published = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert sign("It's a Secret to Everybody", b"Hello, World!") == published


@pytest.mark.parametrize("kind", KINDS)
def test_the_source_of_its_kind_reads_the_comment(kind: str) -> None:
    source = SOURCES[kind]
    body = comment_body(kind, COMMENT)
    headers = CIMultiDict(comment_headers(kind, "a-secret", body))
    assert source.verify(headers, body, [b"another", b"a-secret"], 0) == 2
    with pytest.raises(BadSignature):
        source.verify(headers, body, [b"another"], 0)
    trigger = source.parse(headers, body, source=kind, bot="mosaic")
    assert (trigger.name, trigger.sender, trigger.repository) == ("issue.comment", f"{kind}:drive-by", "octo-org/api")
    assert [command.verb for command in trigger.commands] == ["fix"]
    assert trigger.thread is not None
    assert (trigger.thread.number, trigger.unusable) == (480, None)
    assert trigger.account_ids == {}, "an invented account must not bind its login to an id"
    assert source.external_id(headers)


def test_accounts_have_the_ids_that_are_given() -> None:
    with_ids = NewComment("o/n", 1, "t", "ann", "bob", "x", 7, {"bob": 3})
    document = json.loads(comment_body("github", with_ids))
    assert document["sender"] == {"id": 3, "login": "bob"}
    assert document["issue"]["user"] == {"login": "ann"}
