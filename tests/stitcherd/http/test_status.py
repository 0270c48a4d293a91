"""The load of the daemon, and what callers of a workspace see of it."""

from tests.stitcherd.http.conftest import HttpHarness
from tests.stitcherd.http.webhooks import comment_body, send_webhook


async def test_refused_signatures_are_counted_by_source_for_its_workspace(api: HttpHarness) -> None:
    body = comment_body("@mosaic hello")
    assert (await send_webhook(api, "near", body))[0] == 202
    _, pulse = await api.local.request("GET", "/pulse")
    assert pulse["refusedSignatures"] == {}
    for source, times in (("near", 2), ("far", 1)):
        for _ in range(times):
            status, _ = await send_webhook(api, source, body, **{"X-Hub-Signature-256": f"sha256={'0' * 64}"})
            assert status == 401
    _, pulse = await api.local.request("GET", "/pulse")
    assert pulse["refusedSignatures"] == {"near": 2, "far": 1}
    for token, seen in (("reader", {"near": 2}), ("other", {"far": 1})):
        status, pulse = await api.public.request("GET", "/pulse", token)
        assert (status, pulse["refusedSignatures"]) == (200, seen)
