"""The log of webhooks with a wrong signature."""

import pytest

from stitcherd.jobs.refused_signatures import RefusedSignatures


def test_each_source_is_logged_once_a_minute_with_its_count(caplog: pytest.LogCaptureFixture) -> None:
    refused = RefusedSignatures()
    for now in (100_000, 100_001, 159_999, 160_000):
        refused.note("github", "no signature", now)
    refused.note("gitlab", "wrong token", 160_000)
    assert [record.getMessage() for record in caplog.records] == [
        "source github: no signature: 1 webhooks refused since the start; compare the secrets",
        "source github: no signature: 4 webhooks refused since the start; compare the secrets",
        "source gitlab: wrong token: 1 webhooks refused since the start; compare the secrets",
    ]
    assert refused.counts == {"github": 4, "gitlab": 1}
