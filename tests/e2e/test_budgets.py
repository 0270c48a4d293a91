"""Budgets of jobs and days, with a real daemon and a fake gateway that reports usage."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.ids import now_ms
from stitcherd.budget import next_day
from tests.e2e.harness import DaemonHarness, wait_until
from tests.stitcherd.executors.openclaw.threaded_gateway import ThreadedGateway, daemon_with, script

LONGEST_TEST_MS = 60_000


@pytest.fixture
def daemon(gateway: ThreadedGateway, tmp_path: Path) -> Iterator[DaemonHarness]:
    left = next_day(now_ms()) - now_ms()
    if left < LONGEST_TEST_MS:  # a test across midnight would find a new day
        time.sleep(left / 1000)
    with daemon_with(gateway, tmp_path) as built:
        built.rails.write_text(built.rails.read_text() + "limits: {budget: {per_job: {usd: 1}, per_day: {usd: 2.5}}}\n")
        yield built


def test_budgets_of_jobs_and_days_hold_across_a_restart(gateway: ThreadedGateway, daemon: DaemonHarness) -> None:
    daemon.start()
    warnings = daemon.get("/rails")["warnings"]
    line = daemon.rails.read_text().count("\n")
    assert [(each["line"], each["message"].partition(":")[0]) for each in warnings] == [
        (line, "per_job does not count what agents of executor agent use"),
        (line, "per_day does not count what agents of executor agent use"),
    ]
    first = daemon.wait(daemon.dispatch("read", script(["use", 1, 1, 0.75])))
    checks = {each["id"]: each for each in first["decision"]["checks"]}
    assert (first["status"], checks["limit:budget.per_job"]["outcome"]) == ("COMPLETED", "pass")
    assert checks["limit:budget.per_day"]["seen"] == "0.00 of 2.5 USD today"
    over = daemon.wait(daemon.dispatch("read", script(["use", 1, 1, 1.25], ["hold"])), "FAILED")
    assert over["error"]["code"] == "budget_exceeded"
    assert over["error"]["detail"] == "The agent has used 1.25 USD, and its budget is 1 USD."
    local = daemon.wait(daemon.dispatch("local"))
    skipped = {each["id"]: each for each in local["decision"]["checks"]}["limit:budget.per_job"]
    assert (skipped["outcome"], skipped["because"][:12]) == ("skip", "its executor")
    daemon.kill()
    daemon.start()
    rest = daemon.wait(daemon.dispatch("read", script(["use", 1, 1, 0.625], ["hold"])), "FAILED")
    assert rest["error"]["detail"] == "The agent has used 0.625 USD, and its budget is 0.5 USD."
    reply = daemon.request("POST", "/runner-jobs", {"type": "read", "prompt": "x"})
    assert (reply.status, reply.json["code"]) == (429, "throttled")
    assert reply.json["detail"].startswith("limit budget.per_day: 2.5 USD are used up until 20")


def test_a_job_allowed_before_the_daily_budget_was_used_up_waits(
    gateway: ThreadedGateway, daemon: DaemonHarness
) -> None:
    text = daemon.rails.read_text().replace("per_job: {usd: 1}, ", "")
    daemon.rails.write_text(text.replace("limits: {", "limits: {running: {total: 1}, "))
    daemon.start()
    spender = daemon.dispatch("read", script(["hold"], ["use", 1, 1, 2.5]))
    wait_until(lambda: gateway.started, "it runs")
    waiting = daemon.dispatch("read", script(["say", "hello"]))
    wait_until(lambda: daemon.job(waiting)["held"], "it waits for the other")
    gateway.release()
    daemon.wait(spender, "COMPLETED")
    held = wait_until(lambda: "day" in str((job := daemon.job(waiting))["held"]) and job, "it says what holds it")
    assert held["held"].startswith("limit: the day's budget of 2.5 USD is used up until 20")
    daemon.rails.write_text(daemon.rails.read_text().replace("usd: 2.5", "usd: 3"))
    assert daemon.wait(waiting)["status"] == "COMPLETED"
