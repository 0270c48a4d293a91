"""`stitcher doctor` and `stitcher bundle` with a real daemon and a real job."""

import json
import tarfile
from pathlib import Path

from tests.e2e.harness import DaemonHarness
from tests.e2e.webhooks import OLD_SECRET, SECRETS


def test_the_doctor_finds_only_what_is_wrong(daemon: DaemonHarness) -> None:
    ran = daemon.cli("--config", str(daemon.config), "doctor", "--json")
    found = {each["name"]: each for each in json.loads(ran.stdout)["checks"]}
    for name in (
        "stitcherd.toml",
        "daemon",
        "ready: rails",
        "ready: daemon",
        "public listener",
        "socket",
    ):
        assert found[name]["state"] == "ok", found[name]
    # The rails of these tests let agents write what their gates run, without a sandbox: the doctor says so.
    of_rails = [each for each in json.loads(ran.stdout)["checks"] if each["name"] == "rails.yaml"]
    assert {each["state"] for each in of_rails} == {"warning"}
    assert any("set no sandbox" in each["detail"] for each in of_rails)
    assert found["program missing"]["state"] == "problem"
    assert ran.returncode == 1
    assert "E2E_SECRET is not set where the doctor runs" in found["secrets"]["detail"]
    assert not [secret for secret in (OLD_SECRET, *SECRETS.values()) if secret in ran.stdout + ran.stderr]


def test_a_job_is_bundled(daemon: DaemonHarness, tmp_path: Path) -> None:
    answer = daemon.comment("@mosaic free echo the whole output; echo x > made").json
    job = daemon.wait(answer["jobId"], "COMPLETED")
    ran = daemon.cli("bundle", job["id"][-8:], "-o", str(tmp_path))
    assert (ran.returncode, ran.stderr.count("some parts are missing")) == (0, 0)
    with tarfile.open(ran.stdout.strip()) as tar:
        files = {each.name.partition("/")[2]: tar.extractfile(each) for each in tar.getmembers()}
        content = {name: file.read() for name, file in files.items() if file}
    assert json.loads(content["job.json"]) == daemon.job(job["id"])
    assert len(content["events.jsonl"].splitlines()) == len(job["events"])
    assert json.loads(content["delivery.json"])["jobId"] == job["id"]
    assert content["rails.yaml"] == daemon.rails.read_bytes()
    assert b"made" in content["changes/attempt-1.diff"]
