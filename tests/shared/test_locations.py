"""Paths, for every way of configuring them."""

import subprocess
import sys
from pathlib import Path

import pytest

from shared.locations import SOCKET_PATH_MAX, NoHomeDirectory, SocketPathTooLong, config_dir, socket_path, state_dir

VARIABLES = ("STITCHER_CONFIG_DIR", "STITCHER_SOCKET", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR")


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(directory: Path, text: str) -> Path:
    (directory / "stitcherd.toml").write_text(text)
    return directory


def test_config_dir_prefers_the_flag_then_the_variable_then_xdg_then_home(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert config_dir(None) == Path("/home/ann/.config/stitcher")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/xdg")
    assert config_dir(None) == Path("/xdg/stitcher")
    monkeypatch.setenv("STITCHER_CONFIG_DIR", "~/own")
    assert config_dir(None) == Path("/home/ann/own")
    assert config_dir("~/flag") == Path("/home/ann/flag")


def test_a_relative_flag_is_relative_to_the_working_directory(tmp_path: Path) -> None:
    assert config_dir("conf") == tmp_path / "conf"
    assert socket_path("s.sock", tmp_path) == tmp_path / "s.sock"


@pytest.mark.parametrize("useless", ["", "relative/dir", "~/not-expanded-by-xdg"])
def test_an_xdg_variable_that_is_empty_or_relative_counts_as_unset(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, useless: str
) -> None:
    for name in VARIABLES[2:]:
        monkeypatch.setenv(name, useless)
    assert config_dir(None) == Path("/home/ann/.config/stitcher")
    assert state_dir(tmp_path) == Path("/home/ann/.local/state/stitcher")
    assert socket_path(None, tmp_path) == Path("/home/ann/.local/state/stitcher/run/stitcherd.sock")


def test_empty_flags_and_variables_count_as_unset(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STITCHER_CONFIG_DIR", "")
    monkeypatch.setenv("STITCHER_SOCKET", "")
    assert config_dir("") == Path("/home/ann/.config/stitcher")
    assert socket_path("", tmp_path) == Path("/home/ann/.local/state/stitcher/run/stitcherd.sock")


def test_state_dir_prefers_the_settings_then_xdg_then_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert state_dir(tmp_path) == Path("/home/ann/.local/state/stitcher")
    monkeypatch.setenv("XDG_STATE_HOME", "/xdg")
    assert state_dir(tmp_path) == Path("/xdg/stitcher")
    assert state_dir(write(tmp_path, '[daemon]\nstate_dir = "~/state"')) == Path("/home/ann/state")
    assert state_dir(write(tmp_path, 'daemon.state_dir = "here"')) == tmp_path / "here"


def test_socket_path_prefers_flag_variable_settings_runtime_dir_state_dir(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write(tmp_path, '[daemon]\nstate_dir = "/state"')
    assert socket_path(None, tmp_path) == Path("/state/run/stitcherd.sock")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    assert socket_path(None, tmp_path) == Path("/run/user/7/stitcher/stitcherd.sock")
    write(tmp_path, '[daemon]\nsocket = "/file.sock"')
    assert socket_path(None, tmp_path) == Path("/file.sock")
    monkeypatch.setenv("STITCHER_SOCKET", "/variable.sock")
    assert socket_path(None, tmp_path) == Path("/variable.sock")
    assert socket_path("~/flag.sock", tmp_path) == Path("/home/ann/flag.sock")


@pytest.mark.parametrize(
    "broken",
    [
        b"[daemon]\nstate_dir = ",
        b"\xff\xfe",
        b"daemon = 3",
        b"[daemon]\nstate_dir = 3",
        b'[daemon]\nstate_dir = ""',
        b"a = " + b"[" * 100_000,
    ],
)
def test_a_broken_file_counts_as_absent(tmp_path: Path, broken: bytes) -> None:
    (tmp_path / "stitcherd.toml").write_bytes(broken)
    assert state_dir(tmp_path) == Path("/home/ann/.local/state/stitcher")


def test_a_directory_in_place_of_the_file_counts_as_absent(tmp_path: Path) -> None:
    (tmp_path / "stitcherd.toml").mkdir()
    assert state_dir(tmp_path) == Path("/home/ann/.local/state/stitcher")


def test_the_socket_path_limit_counts_bytes() -> None:
    fits = "/" + "a" * (SOCKET_PATH_MAX - 1)
    assert socket_path(fits, Path("/")) == Path(fits)
    with pytest.raises(SocketPathTooLong) as caught:
        socket_path("/" + "é" * 54, Path("/"))
    assert (caught.value.length, caught.value.limit) == (109, 107)
    for part in ("éé", "109", "107"):
        assert part in str(caught.value)


def test_the_module_does_not_import_tomllib() -> None:
    code = "import sys, shared.locations; sys.exit('tomllib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode == 0


def test_without_a_home_directory_nothing_is_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "")
    assert config_dir(None).is_absolute()
    assert str(config_dir(None)) != "/.config/stitcher"
    monkeypatch.setattr("os.getuid", lambda: 54321)
    with pytest.raises(NoHomeDirectory, match="uid 54321: set HOME"):
        config_dir(None)
    assert config_dir("/etc/stitcher") == Path("/etc/stitcher")
    with pytest.raises(NoHomeDirectory):
        state_dir(Path("/etc/stitcher"))
