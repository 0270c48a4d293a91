"""Which URLs from outside are followed."""

import msgspec
import pytest

from shared.models import RunnerJob
from tests.tui import documents
from tui.text.links import URL_MAX, change_url, hyperlink, thread_url, web_url

ISSUE = "https://github.com/octo-org/api/issues/479"


@pytest.mark.parametrize("url", [ISSUE, "http://forge.local:3000/a/b/pulls/7?tab=files#x", "HTTPS://[::1]/x"])
def test_a_url_of_the_web_is_kept(url: str) -> None:
    assert web_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "https:",
        "https:///path",
        "https://github.com@evil.example/",
        "https://a b/",
        "https://a/\x1b]8;;\x07",
        "https://a/\n",
        "https://\u0430.example/",
        "https://[::1/",
        " https://a/",
        "--version https://a/",
        "https://a/" + "x" * URL_MAX,
    ],
)
def test_any_other_text_is_not(url: str | None) -> None:
    assert web_url(url) is None


def test_the_urls_of_a_job() -> None:
    change = {"number": 7, "url": "https://forge/7"}
    thread = {"kind": "issue", "number": 479, "title": "", "url": ISSUE, "author": None}
    job = msgspec.convert(documents.job(thread=thread, change=change), RunnerJob)
    assert (thread_url(job), change_url(job)) == (ISSUE, "https://forge/7")
    bare = msgspec.convert(documents.job(thread=None), RunnerJob)
    assert (thread_url(bare), change_url(bare)) == (None, None)


def test_a_hyperlink_of_a_terminal() -> None:
    assert hyperlink("#479", ISSUE) == f"\x1b]8;;{ISSUE}\x1b\\#479\x1b]8;;\x1b\\"
