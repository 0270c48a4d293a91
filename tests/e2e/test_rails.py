"""The rails file while the daemon runs: taken over, refused, missing, and what jobs make of it."""

import signal
from typing import Any

from tests.e2e.conftest import BuildDaemon
from tests.e2e.harness import DaemonHarness, wait_until


def reload(house: DaemonHarness, text: str | None) -> None:
    if text is None:
        house.rails.unlink()
    else:
        house.rails.write_text(text)
    assert house.process is not None
    house.process.send_signal(signal.SIGHUP)


def state(house: DaemonHarness, **wanted: Any) -> Any:
    """Return the answer of /rails once it has a fault, or has none."""

    def there() -> Any:
        rails = house.get("/rails")
        return rails if all((rails[name] is not None) == there for name, there in wanted.items()) else None

    return wait_until(there, f"rails with {wanted}")


def test_broken_rails_at_the_start_run_nothing(build: BuildDaemon) -> None:
    house = build(rails="version: 1\nprofils: {}\n")
    house.start()
    rails = house.get("/rails")
    assert (rails["revision"], rails["text"], rails["mode"], rails["path"]) == (None, None, None, "rails.yaml")
    assert (rails["error"]["line"], rails["error"]["column"]) == (2, 1)
    assert "profiles" in rails["error"]["message"]
    reply = house.comment("@mosaic fix it")
    assert (reply.status, reply.json["jobId"]) == (200, None)
    assert "no rails" in reply.json["reason"]
    assert house.ask("POST", "/runner-jobs", {"type": "fix"}).status in {403, 422}
    assert house.get("/runner-jobs")["items"] == []
    checks = {check["name"]: check["ok"] for check in house.get("/readyz")["checks"]}
    assert checks["rails"] is False
    good = build().rails.read_text()
    reload(house, good)
    assert state(house, revision=True, error=False)["text"] == good
    assert house.comment("@mosaic fix true").status == 202


def test_good_rails_stay_in_force_until_better_come(build: BuildDaemon) -> None:
    house = build()
    house.start()
    first = house.get("/rails")
    reload(house, "version: 1\njobs: [\n")
    broken = state(house, error=True)
    assert (broken["revision"], broken["text"]) == (first["revision"], first["text"])
    assert {"line", "column", "message", "at"} == broken["error"].keys()
    assert house.comment("@mosaic fix true", issue=1).status == 202
    reload(house, None)
    wait_until(
        lambda: house.get("/rails")["error"]["message"] != broken["error"]["message"], "the file is said to be gone"
    )
    assert house.comment("@mosaic fix true", issue=2).status == 202
    reload(house, first["text"].replace("command: fix", "command: mend"))
    second = state(house, error=False)
    assert second["revision"] != first["revision"]
    assert house.comment("@mosaic fix true", issue=3).json["verdict"] == "ignored"
    assert house.comment("@mosaic mend true", issue=3).status == 202


def test_a_job_keeps_the_rails_it_was_decided_under(build: BuildDaemon) -> None:
    house = build()
    house.start()
    first = house.get("/rails")
    job_id = house.dispatch("free", "[ $STITCHER_ATTEMPT = 2 ]")
    house.wait(job_id, "FAILED")
    reload(house, "version: 1\n")
    wait_until(lambda: house.get("/rails")["revision"] != first["revision"], "new rails are in force")
    assert house.ask("POST", "/runner-jobs", {"type": "free"}).status == 422
    assert house.ask("POST", f"/runner-jobs/{job_id}/retry").status == 202
    assert house.wait(job_id, "COMPLETED")["railsRevision"] == first["revision"]
    # After a restart too, when they are read from the store.
    house.stop()
    house.start()
    other = house.get("/runner-jobs?limit=1")["items"][0]
    assert (other["id"], other["railsRevision"]) == (job_id, first["revision"])


def test_rails_that_only_observe_run_nothing(build: BuildDaemon) -> None:
    house = build()
    house.rails.write_text(house.rails.read_text().replace("version: 1", "version: 1\nmode: observe"))
    house.start()
    reply = house.comment("@mosaic fix it")
    assert (reply.status, reply.json["verdict"], reply.json["jobId"]) == (200, "ignored", None)
    assert "allowed" in reply.json["reason"]
