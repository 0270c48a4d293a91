"""What tells a process from one on another machine, or in a copy of its state directory, whatever the names are."""

import shutil
from pathlib import Path

import pytest

from stitcherd.processes import place
from stitcherd.processes.file_lock import acquire_lock
from stitcherd.processes.place import Place, find_place


def find(state_dir: Path) -> Place:
    state_dir.mkdir(exist_ok=True)
    with acquire_lock(state_dir / "lock", "it") as lock:
        return find_place(state_dir, lock)


def test_it_stays_the_same_for_a_restart(tmp_path: Path) -> None:
    first = find(tmp_path)
    assert find(tmp_path) == first
    assert (tmp_path / "id").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["id", "lock"]


def test_two_state_directories_of_a_machine_have_only_that_in_common(tmp_path: Path) -> None:
    one, two = find(tmp_path / "one"), find(tmp_path / "two")
    assert one.machine == two.machine
    assert one.state_id != two.state_id
    assert one.lock_id != two.lock_id


def test_a_copy_has_another_lock(tmp_path: Path) -> None:
    one = find(tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two", copy_function=shutil.copy2)
    two = find(tmp_path / "two")
    assert two.state_id == one.state_id
    assert two.lock_id != one.lock_id


def test_a_restart_of_the_machine_changes_the_lock_and_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "boot_id").write_text("0f2b1a52-4c3e-4f0e-9d53-6a2f0c3d9e11\n")
    before = find(tmp_path / "state")
    monkeypatch.setattr(place, "BOOT_ID", tmp_path / "boot_id")
    after = find(tmp_path / "state")
    assert after.state_id == before.state_id
    assert after.lock_id != before.lock_id
    assert after.machine != before.machine
    assert find(tmp_path / "state") == after


def test_a_container_sees_other_processes_and_may_have_the_same_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = find(tmp_path)
    (tmp_path / "namespace").symlink_to("pid:[1]")
    monkeypatch.setattr(place, "PID_NAMESPACE", tmp_path / "namespace")
    after = find(tmp_path)
    assert (after.state_id, after.lock_id) == (before.state_id, before.lock_id)
    assert after.machine != before.machine


def test_a_machine_that_does_not_tell_is_like_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(place, "BOOT_ID", tmp_path / "missing")
    one, two = find(tmp_path), find(tmp_path)
    assert one.state_id == two.state_id
    assert one.lock_id != two.lock_id
    assert one.machine != two.machine
    assert "a restart waits until the lease is over" in caplog.text


@pytest.mark.parametrize("damage", [b"", b"0f2b1a52-4c3e-4f0e-9d", b"\xff" * 37])
def test_a_file_without_an_id_gets_one(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "id").write_bytes(damage)
    (tmp_path / "id.partial").write_bytes(b"of a process that was killed")
    one = find(tmp_path)
    assert find(tmp_path) == one


def test_a_disk_that_is_full_lets_a_process_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "id.partial").mkdir()  # nothing can be written there
    one, two = find(tmp_path), find(tmp_path)
    assert one.state_id != two.state_id
    assert "could not be written" in caplog.text
