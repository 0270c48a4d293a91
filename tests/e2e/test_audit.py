"""The audit chain of a real daemon: after kills and retention it is unbroken, and what is changed by hand is told."""

import json
import time

from tests.e2e.conftest import BuildDaemon
from tests.e2e.harness import DaemonHarness, wait_until


def verified(daemon: DaemonHarness, *options: str) -> tuple[int, dict[str, object]]:
    ran = daemon.cli("--json", "audit", "verify", *options)
    return ran.returncode, json.loads(ran.stdout)


def test_the_chain_is_unbroken_after_kills_and_retention(build: BuildDaemon) -> None:
    daemon = build()
    daemon.start()
    daemon.run("free", "echo before")
    running = daemon.dispatch("free", "sleep 30")
    daemon.step(running, "agent")
    daemon.kill()
    daemon.start()
    ended = daemon.wait(running, "FAILED")
    code, report = verified(daemon)
    head = str(report["head"])
    assert (code, report["broken"], report["unchained"]) == (0, None, 0)
    last = ended["events"][-1]
    assert daemon.get(f"/runner-jobs/{running}/events?after={last['id'] - 1}")["items"][0]["hash"] == last["hash"]
    assert verified(daemon, "--head", head)[0] == 0
    time.sleep(1.1)  # until all of that is past its retention
    daemon.configure('[retention]\nevents = "1s"')
    assert daemon.stop() == 0
    daemon.start()
    wait_until(lambda: verified(daemon)[1]["removed"], "retention has removed events")
    wait_until(lambda: not daemon.get("/runner-jobs")["items"], "and the jobs with them")
    code, report = verified(daemon)
    assert (code, report["broken"]) == (0, None)
    summary = daemon.cli("audit", "verify")
    assert "chain unbroken, head " in summary.stdout
    assert "retention has removed" in summary.stderr


def test_what_is_changed_by_hand_is_told_and_an_export_shows_it(build: BuildDaemon) -> None:
    daemon = build()
    daemon.start()
    daemon.run("free", "true")
    export = daemon.root / "events.jsonl"
    assert daemon.cli("audit", "export", "--out", str(export)).returncode == 0
    with daemon.database() as db:
        [number] = db.execute("SELECT id FROM events WHERE type = 'job.started'").fetchone()
        db.execute("UPDATE events SET actor = 'uid:1' WHERE id = ?", (number,))
    ran = daemon.cli("audit", "verify")
    assert ran.returncode == 1
    assert f"chain broken at event {number}: " in ran.stdout
    assert daemon.cli("audit", "verify", "--file", str(export)).returncode == 0
