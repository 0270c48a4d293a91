"""`stitcher` with a real daemon: output and exit codes."""

import json

from tests.e2e.harness import DaemonHarness


def test_a_job_is_dispatched_and_shown(daemon: DaemonHarness) -> None:
    made = daemon.cli("dispatch", "free", "--repo", "octo-org/api", "--prompt", "-", stdin="echo x > made")
    assert made.returncode == 0
    short = made.stdout.strip()
    job = daemon.wait(short, "COMPLETED")
    assert job["id"].endswith(short)
    shown = daemon.cli("show", short)
    assert (shown.returncode, short in shown.stdout, "publish" in shown.stdout) == (0, True, True)
    assert json.loads(daemon.cli("--json", "show", short).stdout)["id"] == job["id"]
    why = daemon.cli("why", short)
    assert (why.returncode, why.stdout.startswith(f"ALLOWED  job {short}")) == (0, True)


def test_jobs_are_listed(daemon: DaemonHarness) -> None:
    job_id = daemon.run("fix")["id"]
    listed = daemon.cli("ls", "--type", "fix")
    assert (listed.returncode, len(listed.stdout.splitlines())) == (0, 1)
    assert job_id[-8:] in listed.stdout
    assert json.loads(daemon.cli("--json", "ls").stdout).keys() == {"items", "next", "cursor", "counts"}
    assert daemon.cli("ls", "--status", "sleeping").returncode == 2


def test_a_job_is_cancelled_and_retried(daemon: DaemonHarness) -> None:
    job_id = daemon.dispatch("free", "[ $STITCHER_ATTEMPT = 2 ] || sleep 60")
    daemon.step(job_id, "agent")
    assert daemon.cli("cancel", job_id, "--reason", "enough").returncode == 0
    daemon.wait(job_id, "CANCELLED")
    again = daemon.cli("cancel", job_id)
    assert (again.returncode, f"job {job_id[-8:]} is CANCELLED" in again.stderr) == (1, True)
    assert daemon.cli("retry", job_id).returncode == 0
    daemon.wait(job_id, "COMPLETED")
    assert daemon.cli("retry", job_id).returncode == 1


def test_a_refused_delivery_is_explained(daemon: DaemonHarness) -> None:
    answer = daemon.comment("@mosaic fix it", login="drive-by").json
    why = daemon.cli("why", answer["deliveryId"])
    assert why.returncode == 0
    assert "github:drive-by is in none of team, mosaic" in why.stdout
    assert "add github:drive-by to team" in why.stdout


def test_refusals_have_exit_codes(daemon: DaemonHarness) -> None:
    assert daemon.cli("show", "ffffffff").returncode == 5
    assert daemon.cli("dispatch", "dance", "--prompt", "x").returncode == 2
    assert daemon.cli("dispatch", "free", "--repo", "no-org/api").returncode == 4
    assert daemon.cli("dispatch", "free", "--prompt", "x", "--priority", "11").returncode == 2
    assert daemon.cli("waltz").returncode == 2
    assert daemon.cli("--socket", str(daemon.root / "nobody"), "ls").returncode in {2, 3}


def test_both_versions_are_printed(daemon: DaemonHarness) -> None:
    assert daemon.process is not None
    said = daemon.cli("version")
    assert (said.returncode, f"pid {daemon.process.pid}" in said.stdout) == (0, True)
