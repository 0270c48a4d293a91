"""The load of the daemon, and what callers of a workspace see of it."""

import errno

import pytest

from shared.api import ReadinessCheck
from shared.ids import now_ms
from stitcherd.http import status as status_routes
from stitcherd.http.state import AppState
from stitcherd.store import daemons
from tests.stitcherd.http.conftest import HttpHarness
from tests.stitcherd.http.webhooks import comment_body, send_webhook
from tests.stitcherd.store.test_daemons import process


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


async def test_a_part_that_does_not_run_makes_the_daemon_not_ready_with_the_reason(api: HttpHarness) -> None:
    api.state.supervision.troubles["the scheduler"] = ("the scheduler failed: a bug", "2026-11-27T03:00:00.000Z")
    status, body = await api.local.request("GET", "/readyz")
    [failed] = [check for check in body["checks"] if not check["ok"]]
    assert status == 503
    assert failed == {
        "name": "daemon",
        "ok": False,
        "detail": "the scheduler failed: a bug",
        "since": "2026-11-27T03:00:00.000Z",
    }
    api.state.supervision.troubles.clear()
    assert (await api.local.request("GET", "/readyz"))[0] == 200


async def test_a_lack_of_descriptors_is_no_bug_of_ours(
    api: HttpHarness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_request: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(status_routes, "require_operator", fail)
    status, problem = await api.local.request("GET", "/pause")
    assert (status, problem["code"], problem["detail"]) == (503, "busy", "Too many open files")
    assert caplog.records == []


async def test_the_store_is_read_only_for_callers_who_are_told_the_reasons(
    api: HttpHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[ReadinessCheck] = []

    async def check(state: AppState) -> tuple[ReadinessCheck, ...]:
        read.append(ReadinessCheck("daemons", ok=True, detail="one", since=state.meta.started_at))
        return tuple(read)

    monkeypatch.setattr(status_routes, "daemons_check", check)
    assert await api.public.request("GET", "/readyz") == (200, {"ready": True})
    assert read == []
    _, body = await api.public.request("GET", "/readyz", "reader")
    assert body["checks"][-1]["name"] == "daemons"
    assert len(read) == 1


async def test_only_the_operator_sees_who_shares_the_store(api: HttpHarness) -> None:
    await api.state.store.write(daemons.join, process("builder"), 60_000, now_ms())
    status, found = await api.local.request("GET", "/daemons")
    [shown] = found["items"]
    assert status == 200
    assert (shown["name"], shown["role"], shown["workers"], shown["executors"]) == ("builder", "worker", 2, [])
    assert shown["until"] > shown["startedAt"]
    assert (await api.public.request("GET", "/daemons", "reader"))[0] == 403
