"""`stitcher deliveries`: the stored body."""

import io
import sys

import pytest

from tests.tui.fake_api import FakeApi, RunStitcher


def test_a_stored_body_is_printed_byte_for_byte(
    api: FakeApi, stitcher: RunStitcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = b' {"a": "\xff\x1b"}\r\n'
    api.answers["GET /deliveries/7f3a1c02/body"] = 200, body
    written = io.BytesIO()
    pipe = io.TextIOWrapper(written)
    monkeypatch.setattr(sys, "stdout", pipe)
    assert stitcher("deliveries", "show", "7f3a1c02", "--body")[0] == 0
    assert written.getvalue() == body
