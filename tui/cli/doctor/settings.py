"""What stitcherd.toml says, as far as it can be read: names and places, never a secret's value, never a verdict.

Whether the file is good is for `stitcherd --check` to say; here whatever is not understood is left out.
"""

import os
import tomllib
from pathlib import Path
from typing import Any

from msgspec import Struct

from shared.locations import SETTINGS_FILE

_LISTEN = "127.0.0.1:8466"


class SecretSource(Struct, frozen=True):
    """Where a secret is to be found: in a variable of the daemon's environment, or in a file."""

    place: str
    env: str | None = None
    file: Path | None = None


class SettingsSummary(Struct, frozen=True):
    """The parts of the file that the doctor looks at; `sources` and `executors` are by name."""

    sources: dict[str, str]
    executors: dict[str, dict[str, Any]]
    secrets: tuple[SecretSource, ...]
    listen: str
    hosts: tuple[str, ...]


def read_settings(config: Path) -> SettingsSummary:
    """Return what the file in a config directory says; nothing where it is missing or broken."""
    try:
        document = tomllib.loads((config / SETTINGS_FILE).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        document = {}
    http = _table(document.get("http"))
    listen, hosts = http.get("listen"), http.get("hosts")
    return SettingsSummary(
        sources={name: str(each.get("kind")) for name, each in _tables(document, "sources").items()},
        executors=_tables(document, "executors"),
        secrets=tuple(_secrets(document, config)),
        listen=listen if isinstance(listen, str) else _LISTEN,
        hosts=tuple(map(str, hosts)) if isinstance(hosts, list) else (),
    )


def _secrets(document: dict[str, Any], config: Path) -> list[SecretSource]:
    found = []
    for section, keys in (("sources", ("secrets", "token")), ("executors", ("token",))):
        for name, table in _tables(document, section).items():
            for key in keys:
                entries = table.get(key)
                for entry in entries if isinstance(entries, list) else [entries]:
                    place, given = f"{section}.{name}.{key}", _table(entry)
                    if isinstance(given.get("env"), str):
                        found.append(SecretSource(place, env=given["env"]))
                    elif isinstance(given.get("file"), str):
                        path = os.path.expanduser(given["file"])  # noqa: PTH111 (Path.expanduser raises for ~stranger)
                        found.append(SecretSource(place, file=config / path))
    return found


def _tables(document: dict[str, Any], section: str) -> dict[str, dict[str, Any]]:
    return {name: table for name, table in _table(document.get(section)).items() if isinstance(table, dict)}


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
