"""`stitcher` against the real daemon: what it prints, and with which exit code it ends."""

import json

from tests.e2e.harness import DaemonHarness


def test_a_job_is_dispatched_and_shown(house: DaemonHarness) -> None:
    made = house.cli("dispatch", "free", "--repo", "octo-org/api", "--prompt", "-", stdin="echo x > made")
    assert made.returncode == 0
    short = made.stdout.strip()
    job = house.wait(short, "COMPLETED")
    assert job["id"].endswith(short)
    shown = house.cli("show", short)
    assert (shown.returncode, short in shown.stdout, "publish" in shown.stdout) == (0, True, True)
    assert json.loads(house.cli("--json", "show", short).stdout)["id"] == job["id"]
    why = house.cli("why", short)
    assert (why.returncode, why.stdout.startswith(f"ALLOWED  job {short}")) == (0, True)


def test_jobs_are_listed(house: DaemonHarness) -> None:
    job_id = house.run("fix")["id"]
    listed = house.cli("ls", "--type", "fix")
    assert (listed.returncode, len(listed.stdout.splitlines())) == (0, 1)
    assert job_id[-8:] in listed.stdout
    assert json.loads(house.cli("--json", "ls").stdout).keys() == {"items", "next", "cursor", "counts"}
    assert house.cli("ls", "--status", "sleeping").returncode == 2


def test_a_job_is_cancelled_and_retried(house: DaemonHarness) -> None:
    job_id = house.dispatch("free", "[ $STITCHER_ATTEMPT = 2 ] || sleep 60")
    house.step(job_id, "agent")
    assert house.cli("cancel", job_id, "--reason", "enough").returncode == 0
    house.wait(job_id, "CANCELLED")
    again = house.cli("cancel", job_id)
    assert (again.returncode, f"job {job_id[-8:]} is CANCELLED" in again.stderr) == (1, True)
    assert house.cli("retry", job_id).returncode == 0
    house.wait(job_id, "COMPLETED")
    assert house.cli("retry", job_id).returncode == 1


def test_a_refused_delivery_is_explained(house: DaemonHarness) -> None:
    answer = house.comment("@mosaic fix it", login="drive-by").json
    why = house.cli("why", answer["deliveryId"])
    assert why.returncode == 0
    assert "github:drive-by is in none of team, mosaic" in why.stdout
    assert "add github:drive-by to team" in why.stdout


def test_every_refusal_has_its_exit_code(house: DaemonHarness) -> None:
    assert house.cli("show", "ffffffff").returncode == 5
    assert house.cli("dispatch", "dance").returncode == 2
    assert house.cli("dispatch", "free", "--repo", "no-org/api").returncode == 4
    assert house.cli("dispatch", "free", "--priority", "11").returncode == 2
    assert house.cli("waltz").returncode == 2
    assert house.cli("--socket", str(house.root / "nobody"), "ls").returncode in {2, 3}


def test_both_versions_are_said(house: DaemonHarness) -> None:
    assert house.process is not None
    said = house.cli("version")
    assert (said.returncode, f"pid {house.process.pid}" in said.stdout) == (0, True)
