"""Reads the parts of stitcherd.toml that the doctor checks: names and places, never the value of a secret.

It does not validate: what it does not understand is left out. `stitcherd --check` reports errors.
"""

import os
import tomllib
from pathlib import Path
from typing import Any

from msgspec import Struct

from shared.environment_file import UnreadableEnvironment, read_environment
from shared.locations import SETTINGS_FILE, expand_home

DEFAULT_LISTEN = "127.0.0.1:8466"
_CREDENTIALS = {"token", "app"}
_KEY = "-----BEGIN PRIVATE KEY-----"  # what every private key begins with


class SecretSource(Struct, frozen=True):
    """Where a secret comes from: a variable of the daemon's environment, or a file; `key` names the setting."""

    key: str
    env: str | None = None
    file: Path | None = None


class SettingsSummary(Struct, frozen=True):
    """The settings that are checked: `sources` maps names to kinds, `executors` names to tables.

    `clones` has where repositories are cloned from: absolute paths and URLs. `with_api` has the names of the sources
    that have an API and a credential for it, and `polled` how often those with `pull` are asked what happened. `notify`
    has the tables of whom to tell, by their numbers from 1.
    `environment` has the variables that stitcherd would have if it were started here: ours, and those of its file.
    """

    sources: dict[str, str]
    executors: dict[str, dict[str, Any]]
    secrets: tuple[SecretSource, ...]
    listen: str
    hosts: tuple[str, ...]
    clones: tuple[str, ...] = ()
    with_api: tuple[str, ...] = ()
    polled: dict[str, str] = {}
    environment: dict[str, str] = {}
    notify: dict[str, dict[str, Any]] = {}

    def has_webhook(self, source: str) -> bool:
        """Whether a source accepts webhooks: it has a secret for them."""
        return any(secret.key == f"sources.{source}.secrets" for secret in self.secrets)

    @property
    def unset(self) -> tuple[SecretSource, ...]:
        """The secrets whose variables are not set here."""
        return tuple(secret for secret in self.secrets if secret.env and not self.environment.get(secret.env))

    @property
    def complete_environment(self) -> dict[str, str]:
        """The environment, with placeholders for secrets that are not set in it: the settings can be read with it."""
        missing = {secret.env or "": _KEY if secret.key.endswith(".app.key") else "unset" for secret in self.unset}
        return {**self.environment, **missing}


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
        with_api=tuple(
            name
            for name, source in _tables(document, "sources").items()
            if "api" in source and source.keys() & _CREDENTIALS
        ),
        clones=tuple(_clones(document, config)),
        polled={name: str(source["pull"]) for name, source in _tables(document, "sources").items() if "pull" in source},
        environment=_environment(config),
        notify=_notify(document),
    )


def _environment(config: Path) -> dict[str, str]:
    try:
        return {**read_environment(config), **os.environ}
    except UnreadableEnvironment:
        return dict(os.environ)  # stitcherd --check reports the file


def _clones(document: dict[str, Any], config: Path) -> list[str]:
    found = [
        table["clone"] for table in _tables(document, "repositories").values() if isinstance(table.get("clone"), str)
    ]
    paths = ("/", "~", "./", "../")
    return [os.path.normpath(config / expand_home(clone)) if clone.startswith(paths) else clone for clone in found]


def _secrets(document: dict[str, Any], config: Path) -> list[SecretSource]:
    """Return every `{env = …}` and `{file = …}` in the tables of sources, executors and whom to notify."""
    found = []
    tables = {name: _tables(document, name) for name in ("sources", "executors")} | {"notify": _notify(document)}
    for section, named in tables.items():
        for name, table in named.items():
            app = {f"app.{key}": value for key, value in _table(table.get("app")).items()}
            for key, value in (table | app).items():
                for entry in value if isinstance(value, list) else [value]:
                    place, source = f"{section}.{name}.{key}", _table(entry)
                    if isinstance(source.get("env"), str):
                        found.append(SecretSource(place, env=source["env"]))
                    elif isinstance(source.get("file"), str):
                        found.append(SecretSource(place, file=config / expand_home(source["file"])))
    return found


def _notify(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    entries = document.get("notify")
    return {str(number): _table(each) for number, each in enumerate(entries if isinstance(entries, list) else (), 1)}


def _tables(document: dict[str, Any], section: str) -> dict[str, dict[str, Any]]:
    return {name: table for name, table in _table(document.get(section)).items() if isinstance(table, dict)}


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
