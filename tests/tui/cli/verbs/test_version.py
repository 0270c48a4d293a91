"""`stitcher version`, with and without a daemon."""

import json

from tests.tui.fake_api import FakeApi, RunStitcher


def test_version_with_and_without_a_daemon(api: FakeApi, stitcher: RunStitcher) -> None:
    code, out, err = stitcher("version")
    assert (code, out) == (0, "stitcher 0.1.0\n")
    assert err
    meta = {"version": "0.1.0", "api": "1", "instance": "i", "pid": 7, "startedAt": "2026-11-22T14:02:11.284Z"}
    api.answers["GET /meta"] = (200, meta)
    assert stitcher("version")[1].splitlines()[1] == "stitcherd 0.1.0 (API 1, pid 7, since 2026-11-22T14:02:11.284Z)"
    assert json.loads(stitcher("version", "--json")[1]) == {"client": "0.1.0", "daemon": meta}
