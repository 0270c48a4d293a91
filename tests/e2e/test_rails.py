"""Changes of the rails file at run time: reloaded, rejected, missing, and their effect on jobs."""

import signal
from typing import Any

from tests.e2e.conftest import BuildDaemon
from tests.e2e.harness import DaemonHarness, wait_until


def reload(daemon: DaemonHarness, text: str | None) -> None:
    if text is None:
        daemon.rails.unlink()
    else:
        daemon.rails.write_text(text)
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGHUP)


def state(daemon: DaemonHarness, **wanted: Any) -> Any:
    """Return the response of /rails once it has an error, or has none."""

    def there() -> Any:
        rails = daemon.get("/rails")
        return rails if all((rails[name] is not None) == there for name, there in wanted.items()) else None

    return wait_until(there, f"rails with {wanted}")


def test_nothing_runs_under_broken_rails(build: BuildDaemon) -> None:
    daemon = build(rails="version: 1\nprofils: {}\n")
    daemon.start(ready=False)
    wait_until(lambda: "listening on" in daemon.log_tail(), "the daemon listens")
    assert daemon.public("GET", "/readyz").json == {"ready": False}
    rails = daemon.get("/rails")
    assert (rails["revision"], rails["text"], rails["mode"], rails["path"]) == (None, None, None, "rails.yaml")
    assert (rails["error"]["line"], rails["error"]["column"]) == (2, 1)
    assert "profiles" in rails["error"]["message"]
    reply = daemon.comment("@mosaic fix it")
    assert (reply.status, reply.json["jobId"]) == (200, None)
    assert "no rails" in reply.json["reason"]
    assert daemon.request("POST", "/runner-jobs", {"type": "fix"}).status in {403, 422}
    assert daemon.get("/runner-jobs")["items"] == []
    checks = {check["name"]: check["ok"] for check in daemon.get("/readyz", 503)["checks"]}
    assert checks["rails"] is False
    good = build().rails.read_text()
    reload(daemon, good)
    assert state(daemon, revision=True, error=False)["text"] == good
    assert daemon.comment("@mosaic fix true").status == 202
    assert daemon.get("/readyz")["ready"] is True


def test_valid_rails_stay_in_force_until_the_next_valid_ones(build: BuildDaemon) -> None:
    daemon = build()
    daemon.start()
    first = daemon.get("/rails")
    reload(daemon, "version: 1\njobs: [\n")
    broken = state(daemon, error=True)
    assert (broken["revision"], broken["text"]) == (first["revision"], first["text"])
    assert {"line", "column", "message", "at"} == broken["error"].keys()
    assert daemon.comment("@mosaic fix true", issue=1).status == 202
    reload(daemon, None)
    wait_until(
        lambda: daemon.get("/rails")["error"]["message"] != broken["error"]["message"], "the missing file is reported"
    )
    assert daemon.comment("@mosaic fix true", issue=2).status == 202
    reload(daemon, first["text"].replace("command: fix", "command: repair"))
    second = state(daemon, error=False)
    assert second["revision"] != first["revision"]
    assert daemon.comment("@mosaic fix true", issue=3).json["verdict"] == "ignored"
    assert daemon.comment("@mosaic repair true", issue=3).status == 202


def test_a_job_keeps_the_rails_of_its_decision(build: BuildDaemon) -> None:
    daemon = build()
    daemon.start()
    first = daemon.get("/rails")
    job_id = daemon.dispatch("free", "[ $STITCHER_ATTEMPT = 2 ]")
    daemon.wait(job_id, "FAILED")
    reload(daemon, "version: 1\n")
    wait_until(lambda: daemon.get("/rails")["revision"] != first["revision"], "new rails are in force")
    assert daemon.request("POST", "/runner-jobs", {"type": "free"}).status == 422
    assert daemon.request("POST", f"/runner-jobs/{job_id}/retry").status == 202
    assert daemon.wait(job_id, "COMPLETED")["railsRevision"] == first["revision"]
    # Also after a restart, when they are read from the store.
    daemon.stop()
    daemon.start()
    other = daemon.get("/runner-jobs?limit=1")["items"][0]
    assert (other["id"], other["railsRevision"]) == (job_id, first["revision"])


def test_nothing_runs_in_observe_mode(build: BuildDaemon) -> None:
    daemon = build()
    daemon.rails.write_text(daemon.rails.read_text().replace("version: 1", "version: 1\nmode: observe"))
    daemon.start()
    reply = daemon.comment("@mosaic fix it")
    assert (reply.status, reply.json["verdict"], reply.json["jobId"]) == (200, "ignored", None)
    assert "allowed" in reply.json["reason"]
