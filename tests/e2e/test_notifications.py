"""Who is told of events by a real daemon: a receiver of webhooks and a command, through outages and kills."""

import json
import random
import sys
import time
from typing import Any

import pytest

from tests.e2e.conftest import BuildDaemon
from tests.e2e.harness import DaemonHarness, free_port, wait_until
from tests.webhook_receiver import SECRET, Receiver

KILLS = 2
SEED = random.SystemRandom().randrange(1, 2**31)
HOOK = """
[[notify]]
on = ["job.failed", "job.completed"]
url = "{url}"
secret = {{file = "{secret}"}}
"""
COMMAND = """
[[notify]]
on = ["job.failed", "answer.sent", "answer.failed"]
run = ["sh", "-c", "{script}", "sh", "{{summary}}", "{{type}}"]
"""


def hook(daemon: DaemonHarness, url: str) -> str:
    secret = daemon.root / "hook-secret"
    secret.touch(mode=0o600)
    secret.write_text(SECRET)
    return HOOK.format(url=url, secret=secret)


def answers(daemon: DaemonHarness, count: int, state: str = "delivered") -> list[Any]:
    """Wait until there are so many answers, all in a state; return them, oldest first."""

    def found() -> Any:
        items = daemon.get("/answers")["items"]
        return items if [each["state"] for each in items] == [state] * count else None

    return list(reversed(wait_until(found, f"{count} answers are {state}")))


def sent_at_once(daemon: DaemonHarness, count: int) -> list[Any]:
    """Wait until so many answers are delivered, each as soon as it can be; return them."""

    def found() -> Any:
        items = daemon.get("/answers?limit=500")["items"]
        for each in items:
            if each["state"] == "pending":  # it would be tried some seconds later; an operator need not wait
                daemon.request("POST", f"/answers/{each['id']}/retry")
        return items if [each["state"] for each in items] == ["delivered"] * count else None

    found_now: list[Any] = wait_until(found, f"{count} answers are delivered")
    return found_now


def test_a_receiver_and_a_command_are_told_of_the_events_that_they_name(build: BuildDaemon) -> None:
    with Receiver() as receiver:
        daemon = build()
        told = daemon.root / "told"
        daemon.configure(hook(daemon, receiver.url) + COMMAND.format(script=f"echo $1, $2 >> {told}"))
        daemon.start()
        failed = daemon.run("free", "exit 3")
        done = daemon.run("free", "true")
        found = answers(daemon, 3)
    assert [(each.body["type"], each.body["data"]["jobId"]) for each in receiver.received] == [
        ("job.failed", failed["id"]),
        ("job.completed", done["id"]),
    ]
    line = f"free on octo-org/api ({failed['id'][-8:]}) failed: executor_failed: "
    assert told.read_text().startswith(line)
    assert told.read_text().endswith(", job.failed\n")
    assert len(told.read_text().splitlines()) == 1, "what became of notifications is told to nobody"
    assert [each["source"] for each in found] == ["notify:127.0.0.1", "notify:sh", "notify:127.0.0.1"]
    assert {(each["kind"], each["repository"]) for each in found} == {("notification", "octo-org/api")}
    assert [each["kind"] for each in daemon.job(failed["id"])["answers"]] == ["notification"] * 2
    assert "notify:sh" in daemon.cli("answers").stdout
    assert "hidden-part" not in json.dumps(found) + daemon.log.read_text()


def test_a_receiver_that_was_away_is_told_once_it_is_back(build: BuildDaemon) -> None:
    port = free_port()
    daemon = build()
    daemon.configure(hook(daemon, f"http://127.0.0.1:{port}/"))
    daemon.start()
    daemon.run("free", "exit 3")
    wait_until(lambda: any(each["tries"] for each in answers(daemon, 1, "pending")), "it was tried")
    daemon.kill()
    with Receiver(port=port) as receiver:
        daemon.start()
        sent_at_once(daemon, 1)
    assert receiver.types == ["job.failed"]


def test_a_command_that_was_killed_with_its_daemon_is_run_again_and_no_other_is(build: BuildDaemon) -> None:
    daemon = build()
    told, go = daemon.root / "told", daemon.root / "go"
    wait = f"echo $$ >> {told}; test -e {go} || sleep 60; echo told >> {told}"
    daemon.configure(COMMAND.format(script=wait))
    daemon.start()
    daemon.run("free", "exit 3")
    wait_until(told.exists, "the command runs")
    first = int(wait_until(told.read_text, "its pid").split()[0])
    daemon.kill()
    go.touch()
    daemon.start()
    sent_at_once(daemon, 1)
    daemon.kill()
    daemon.start()
    daemon.run("free", "true")
    assert told.read_text().split()[2:] == ["told"], "it ran twice, and was told of once"
    assert first not in daemon.processes()


def test_kills_lose_no_notification_and_make_no_second_one(build: BuildDaemon) -> None:
    sys.stdout.write(f"seed {SEED}\n")  # shown if the test fails
    chance = random.Random(SEED)
    with Receiver() as receiver:
        daemon = build()
        daemon.configure(hook(daemon, receiver.url))
        daemon.start()
        for _ in range(KILLS):
            for _ in range(4):
                daemon.dispatch("free", "exit 3", repository=None)
            time.sleep(chance.uniform(0, 0.3))
            daemon.kill()
            daemon.spawn()
            daemon.await_ready()

        def ended() -> Any:
            jobs = daemon.get("/runner-jobs?limit=500")["items"]
            return jobs if all(job["status"] == "FAILED" for job in jobs) else None

        jobs = wait_until(ended, "all jobs have ended")
        found = sent_at_once(daemon, len(jobs))
    assert {each["jobId"] for each in found} == {job["id"] for job in jobs}
    told = {each.id: each.body["data"]["jobId"] for each in receiver.received}
    assert told == {each["id"]: each["jobId"] for each in found}


@pytest.mark.parametrize("on", ['["job.*"]', '["job.fail"]'])
def test_a_wrong_event_is_refused_with_its_line(build: BuildDaemon, on: str) -> None:
    daemon = build()
    daemon.configure(f'[[notify]]\non = {on}\nrun = ["true"]\n')
    process = daemon.start(ready=False)
    assert process.wait(10) == 2
    line = next(
        n for n, text in enumerate((daemon.config / "stitcherd.toml").read_text().splitlines(), 1) if on in text
    )
    assert f"stitcherd.toml:{line}: " in daemon.log.read_text()
