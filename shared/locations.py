"""Paths of the configuration directory, the state directory and the socket, the same for daemon and client."""

import os
from pathlib import Path

SETTINGS_FILE = "stitcherd.toml"
RAILS_FILE = "rails.yaml"
RAILS_TEST_FILE = "rails.test.yaml"

SOCKET_PATH_MAX = 107  # sun_path holds 108 bytes, the last of them zero: unix(7)


class SocketPathTooLong(ValueError):
    """The kernel cannot bind or connect to a socket at this path."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.length = len(os.fsencode(path))
        self.limit = SOCKET_PATH_MAX
        super().__init__(
            f"the socket path {path} is {self.length} bytes long, and the limit is {self.limit}: "
            "choose a shorter one with --socket, STITCHER_SOCKET or daemon.socket"
        )


class NoHomeDirectory(ValueError):
    """A path begins with `~`, and this user has no home directory."""

    def __init__(self) -> None:
        super().__init__(
            f"no home directory is known for uid {os.getuid()}: set HOME, or XDG_CONFIG_HOME and XDG_STATE_HOME,"
            " or --config and daemon.state_dir"
        )


def config_dir(flag: str | None) -> Path:
    """Return the absolute path of the directory of stitcherd.toml and rails.yaml, which may not exist."""
    given = flag or os.environ.get("STITCHER_CONFIG_DIR")
    return _absolute(given) if given else user_config_dir() / "stitcher"


def user_config_dir() -> Path:
    """Return the directory of the configuration of all programs of this user, systemd's among them."""
    return _xdg("XDG_CONFIG_HOME", "~/.config")


def state_dir(config: Path) -> Path:
    """Return the state directory; a relative `daemon.state_dir` is relative to `config`."""
    given = _setting(config, "daemon", "state_dir")
    return _absolute(given, config) if given else _xdg("XDG_STATE_HOME", "~/.local/state") / "stitcher"


def store_kind(config: Path) -> str:
    """Return which database `[store]` names."""
    return _setting(config, "store", "kind") or "sqlite"


def socket_path(flag: str | None, config: Path) -> Path:
    """Return the path of the daemon's socket; raises SocketPathTooLong above 107 bytes."""
    path = _socket(flag, config)
    if len(os.fsencode(path)) > SOCKET_PATH_MAX:
        raise SocketPathTooLong(path)
    return path


def _socket(flag: str | None, config: Path) -> Path:
    if given := flag or os.environ.get("STITCHER_SOCKET"):
        return _absolute(given)
    if configured := _setting(config, "daemon", "socket"):
        return _absolute(configured, config)
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if Path(runtime).is_absolute():
        return Path(runtime) / "stitcher" / "stitcherd.sock"
    return state_dir(config) / "run" / "stitcherd.sock"


def _absolute(text: str, start: Path | None = None) -> Path:
    return ((start or Path()) / expand_home(text)).absolute()


def expand_home(text: str) -> str:
    """Return a path with `~` replaced by the home directory, that of another user as well; raises NoHomeDirectory."""
    if text != "~" and not text.startswith("~/"):
        return os.path.expanduser(text)  # noqa: PTH111 (Path.expanduser raises for ~stranger)
    home = os.environ.get("HOME")
    if not home:
        import pwd  # noqa: PLC0415 (needed by few)

        try:
            home = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            raise NoHomeDirectory from None
    return home.rstrip("/") + text[1:]


def _xdg(name: str, default: str) -> Path:
    """Return a base directory; an empty or relative variable must be ignored (XDG Base Directory, 0.8)."""
    path = Path(os.environ.get(name, ""))
    return path if path.is_absolute() else _absolute(default)


def _setting(config: Path, table: str, key: str) -> str | None:
    """Return `<table>.<key>`, or None if it is missing or the file is broken, which the daemon reports."""
    try:
        text = (config / SETTINGS_FILE).read_text("utf-8")
    except (OSError, ValueError):
        return None
    import tomllib  # noqa: PLC0415 (saves several ms of every `stitcher ls` without such a file)

    try:
        found = tomllib.loads(text).get(table)
    except (ValueError, RecursionError):
        return None
    value = found.get(key) if isinstance(found, dict) else None
    return value if isinstance(value, str) and value else None


def shipped_file(name: str) -> Path:
    """Return the path of a shipped file of `config/`: in the daemon's package in a wheel, beside it in a checkout."""
    root = Path(__file__).resolve().parents[1]
    installed = root / "stitcherd" / "defaults" / name
    return installed if installed.exists() else root / "config" / name
