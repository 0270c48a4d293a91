"""Metrics: who may read them, that they are valid, what they count, and that no label can grow without bounds."""

from collections.abc import Mapping
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.stitcherd.http.conftest import HttpHarness
from tests.stitcherd.http.webhooks import comment_body, send_webhook

LABELS = {  # each has values from the configuration, or is an enumeration of ours
    *("source", "verdict", "code", "type", "outcome", "gate", "executor", "direction", "try", "kind"),
    *("status", "state", "version", "le"),
}
Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


async def scrape(api: HttpHarness) -> Samples:
    async with api.public.session.get(f"{api.public.base}/metrics", headers={"Authorization": "Bearer scraper"}) as got:
        assert got.status == 200
        assert got.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        text = await got.text()
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        for sample in family.samples:
            found[sample.name, frozenset(sample.labels.items())] = sample.value
    return found


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((f"stitcher_{name}", frozenset(labels.items())), 0)


async def run_job(api: HttpHarness) -> Any:
    _, answer = await send_webhook(api, "near", comment_body("@mosaic hello"))
    return await api.wait_until_ended(answer["jobId"])


async def test_metrics_need_their_own_permission(api: HttpHarness) -> None:
    assert (await api.local.session.get("http://d/metrics")).status == 200
    for token, status in (("writer", 403), (None, 401)):
        found, problem = await api.public.request("GET", "/metrics", token)
        assert found == status
        if status == 403:
            assert problem["detail"] == "this needs the permission metrics:read"
    assert (await api.public.request("GET", "/stats", "scraper"))[0] == 403


async def test_deliveries_and_refusals_are_counted(api: HttpHarness) -> None:
    await api.local.request("POST", "/pause", json={})
    before = await scrape(api)
    body = comment_body("@mosaic hello")
    await send_webhook(api, "near", body)
    await send_webhook(api, "near", body)
    await send_webhook(api, "near", comment_body("hello"))
    await send_webhook(api, "far", body, **{"X-Hub-Signature-256": f"sha256={'0' * 64}"})
    await api.public.request("GET", "/pulse")
    after = await scrape(api)
    for name, labels in (
        ("deliveries_total", {"source": "near", "verdict": "allowed"}),
        ("deliveries_total", {"source": "near", "verdict": "duplicate"}),
        ("deliveries_total", {"source": "near", "verdict": "ignored"}),
        ("refusals_total", {"code": "bad_signature"}),
        ("refusals_total", {"code": "unauthorized"}),
    ):
        assert value(after, name, **labels) - value(before, name, **labels) == 1, (name, labels)


async def test_a_job_is_counted_with_its_steps(api: HttpHarness) -> None:
    before = await scrape(api)
    job = await run_job(api)
    labels = {"type": "hello", "outcome": job["status"].lower()}
    after = await scrape(api)
    for name in ("jobs_ended_total", "job_duration_seconds_count"):
        assert value(after, name, **labels) - value(before, name, **labels) == 1
    for name in ("job_queue_wait_seconds_count", "store_commit_seconds_count", "store_batch_size_count"):
        assert value(after, name) > value(before, name)
    steps = [name for name, labels in after if name == "stitcher_step_duration_seconds_count"]
    assert steps


async def test_what_waits_is_shown_with_its_age(api: HttpHarness) -> None:
    before = await scrape(api)
    assert value(before, "jobs", status="queued") == value(before, "queue_oldest_age_seconds") == 0
    assert value(before, "paused") == 0
    await api.local.request("POST", "/pause", json={})
    await send_webhook(api, "near", comment_body("@mosaic hello"))
    after = await scrape(api)
    assert value(after, "jobs", status="queued") == value(after, "paused") == 1
    assert value(after, "jobs", status="running") == 0
    assert value(after, "store_available") == value(after, "build_info", version=api.state.meta.version) == 1


async def test_clients_of_the_stream_are_counted_while_they_are_connected(api: HttpHarness) -> None:
    await api.add_event()
    async with api.local.session.get("http://d/events?after=0") as stream:
        await stream.content.readuntil(b"\n\n")
        assert value(await scrape(api), "stream_clients") == 1
        assert value(await scrape(api), "stream_lag_events") == 0
    await api.add_event()
    for _ in range(200):
        await api.add_event()
        if value(await scrape(api), "stream_clients") == 0:
            return
    raise AssertionError("the client is still counted")


async def test_labels_have_bounded_values(api: HttpHarness) -> None:
    job = await run_job(api)
    samples = await scrape(api)
    assert {label for _, labels in samples for label, _ in labels} <= LABELS
    for _, labels in samples:
        for _, shown in labels:
            assert job["id"] not in shown
            assert job["repository"] not in shown
    for name, _ in samples:
        assert name.startswith(("stitcher_", "process_"))
