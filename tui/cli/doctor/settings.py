"""Reads the parts of stitcherd.toml that the doctor checks: names and places, never the value of a secret.

It does not validate: what it does not understand is left out. `stitcherd --check` reports errors.
"""

import os
import tomllib
from pathlib import Path
from typing import Any

from msgspec import Struct

from shared.locations import SETTINGS_FILE, expand_home

DEFAULT_LISTEN = "127.0.0.1:8466"


class SecretSource(Struct, frozen=True):
    """Where a secret comes from: a variable of the daemon's environment, or a file; `key` names the setting."""

    key: str
    env: str | None = None
    file: Path | None = None


class SettingsSummary(Struct, frozen=True):
    """The settings that are checked: `sources` maps names to kinds, `executors` names to tables.

    `clones` has where repositories are cloned from: absolute paths and URLs.
    """

    sources: dict[str, str]
    executors: dict[str, dict[str, Any]]
    secrets: tuple[SecretSource, ...]
    listen: str
    hosts: tuple[str, ...]
    clones: tuple[str, ...] = ()


def read_settings(config: Path) -> SettingsSummary:
    """Return the settings in a configuration directory; a file that is missing or broken counts as empty."""
    try:
        document = tomllib.loads((config / SETTINGS_FILE).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        document = {}
    http = _table(document.get("http"))
    listen, hosts = http.get("listen"), http.get("hosts")
    return SettingsSummary(
        sources={name: str(source.get("kind")) for name, source in _tables(document, "sources").items()},
        executors=_tables(document, "executors"),
        secrets=tuple(_secrets(document, config)),
        listen=listen if isinstance(listen, str) else DEFAULT_LISTEN,
        hosts=tuple(map(str, hosts)) if isinstance(hosts, list) else (),
        clones=tuple(_clones(document, config)),
    )


def _clones(document: dict[str, Any], config: Path) -> list[str]:
    found = [
        table["clone"] for table in _tables(document, "repositories").values() if isinstance(table.get("clone"), str)
    ]
    paths = ("/", "~", "./", "../")
    return [os.path.normpath(config / expand_home(clone)) if clone.startswith(paths) else clone for clone in found]


def _secrets(document: dict[str, Any], config: Path) -> list[SecretSource]:
    """Return every `{env = …}` and `{file = …}` in the tables of sources and executors."""
    found = []
    for section in ("sources", "executors"):
        for name, table in _tables(document, section).items():
            for key, value in table.items():
                for entry in value if isinstance(value, list) else [value]:
                    place, source = f"{section}.{name}.{key}", _table(entry)
                    if isinstance(source.get("env"), str):
                        found.append(SecretSource(place, env=source["env"]))
                    elif isinstance(source.get("file"), str):
                        found.append(SecretSource(place, file=config / expand_home(source["file"])))
    return found


def _tables(document: dict[str, Any], section: str) -> dict[str, dict[str, Any]]:
    return {name: table for name, table in _table(document.get(section)).items() if isinstance(table, dict)}


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
