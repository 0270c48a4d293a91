"""Statistics and metrics of jobs that a daemon ran, over its real listeners, and after a restart."""

import hashlib
import re
from collections.abc import Iterator

import pytest

from tests.e2e.harness import DaemonHarness

TOKEN = "a-token-for-prometheus"
SETTINGS = f"""
[[tokens]]
name = "prometheus"
sha256 = "{hashlib.sha256(TOKEN.encode()).hexdigest()}"
permissions = ["metrics:read"]
"""


@pytest.fixture(scope="module")
def metered() -> Iterator[DaemonHarness]:
    with DaemonHarness(settings=SETTINGS) as daemon:
        daemon.start()
        passes = daemon.comment("@mosaic fix echo two > more", issue=1).json["jobId"]
        fails = daemon.comment("@mosaic fix touch broken", issue=2).json["jobId"]
        daemon.wait(passes, "COMPLETED")
        daemon.wait(fails, "FAILED")
        yield daemon


def metric(daemon: DaemonHarness, line: str) -> float:
    reply = daemon.public("GET", "/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert reply.status == 200
    found = re.search(rf"^{re.escape(line)} (.*)$", reply.body.decode(), re.MULTILINE)
    assert found, line
    return float(found[1])


def test_statistics_tell_what_became_of_jobs(metered: DaemonHarness) -> None:
    for by, key in (("type", "fix"), ("repository", "octo-org/api"), ("executor", "agent")):
        [item] = metered.get(f"/stats?by={by}")["items"]
        assert (item["key"], item["jobs"]) == (key, {"completed": 1, "failed": 1, "cancelled": 0})
        assert item["tries"] == {"first": 1, "later": 1}
        [gate] = item["gates"]
        assert (gate["name"], gate["passed"], gate["failed"]) == ("tests", 1, 3)
        assert 0 < item["durationMs"]["p50"] <= item["durationMs"]["p95"]


def test_metrics_count_the_same(metered: DaemonHarness) -> None:
    assert metric(metered, 'stitcher_deliveries_total{source="github",verdict="allowed"}') == 2
    assert metric(metered, 'stitcher_jobs_ended_total{outcome="completed",type="fix"}') == 1
    assert metric(metered, 'stitcher_job_duration_seconds_count{outcome="failed",type="fix"}') == 1
    assert metric(metered, 'stitcher_gate_duration_seconds_count{gate="tests",outcome="failed"}') == 3
    assert metric(metered, 'stitcher_tries_total{try="later"}') == 2
    assert metric(metered, 'stitcher_deliveries_total{source="mosaic",verdict="denied"}') == 0
    assert metric(metered, 'stitcher_tokens_total{direction="input",executor="agent"}') == 0
    assert metric(metered, 'stitcher_executor_up{executor="agent"}') == 1
    assert metric(metered, 'stitcher_jobs{status="running"}') == 0
    assert metric(metered, "stitcher_retention_last_run_timestamp_seconds") > 0


def test_after_a_restart_statistics_are_kept_and_counters_begin_again(metered: DaemonHarness) -> None:
    before = metered.get("/stats?by=type")
    metered.stop()
    metered.start()
    assert metered.get("/stats?by=type") == before
    reply = metered.request("GET", "/metrics")
    assert b"stitcher_jobs_ended_total{" not in reply.body
