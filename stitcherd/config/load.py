"""Loads stitcherd.toml into one frozen model, once at start; any fault refuses the whole file."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from shared import locations
from shared.suggest import did_you_mean
from stitcherd.config.errors import KeyPath, describe_error, error_path, keys_of
from stitcherd.config.http_settings import HttpSettings, TokenSettings
from stitcherd.config.notify import NotifySettings
from stitcherd.config.secrets import is_world_readable, readable_secrets, secret_entries
from stitcherd.config.settings import (
    DaemonSettings,
    ExecutorSettings,
    RepositorySettings,
    RetentionSettings,
    Settings,
    SourceSettings,
)
from stitcherd.config.store_settings import StoreSettings
from stitcherd.config.toml_lines import TOML_FORMAT, KeyLines, TomlError, parse_toml, table_header, type_in_words
from stitcherd.config.types import SettingsContext, SupportedKinds, Table, in_directory

TABLES: dict[str, type[Table]] = {
    "daemon": DaemonSettings,
    "store": StoreSettings,
    "retention": RetentionSettings,
    "http": HttpSettings,
    "sources": SourceSettings,
    "repositories": RepositorySettings,
    "executors": ExecutorSettings,
    "tokens": TokenSettings,
    "notify": NotifySettings,
}
LABELS = {"sources": "name", "repositories": "pattern", "executors": "name"}  # the field that holds a table's own key


class SettingsError(Exception):
    """Settings that cannot be used: the first fault by line; `others` has the rest."""

    def __init__(self, line: int, message: str, others: "tuple[SettingsError, ...]" = ()) -> None:
        self.line = line
        self.message = message
        self.others = others
        super().__init__(f"{locations.SETTINGS_FILE}:{line}: {message}")


class SettingsFault(NamedTuple):
    """A fault at a place of the document."""

    path: KeyPath
    message: str


def load_settings(
    directory: Path, kinds: SupportedKinds, *, socket: str | None = None, is_worker: bool = False
) -> Settings:
    """Return the settings of a config directory; all defaults, with `missing` set, if there is no file.

    `socket` is the command-line option of that name. Those of a worker have nothing of what only a daemon needs: tokens
    of the API, secrets of webhooks, and targets of notifications; but secrets that it could read anyway are masked, and
    kept from agents, as those of a daemon are. Raises SettingsError, and shared.locations.PathTooLong.
    """
    directory = directory.absolute()
    content = _read(directory / locations.SETTINGS_FILE)
    try:
        document, where = parse_toml(content or b"")
    except TomlError as error:
        raise SettingsError(error.line, error.message) from None
    unused = list(readable_secrets(document, directory)) if is_worker else []
    if is_worker:
        document = _for_worker(document)
    settings = _validate(document, SettingsContext(directory, kinds, is_worker), socket, where)
    secrets = [entry for _, entry in secret_entries(document)] + [entry for entry, _ in unused]
    warnings = sorted((where.line(path), message) for path, message in _warnings(settings, document, directory))
    return settings.model_copy(
        update={
            "missing": content is None,
            "warnings": tuple(f"{locations.SETTINGS_FILE}:{line}: {message}" for line, message in warnings),
            "unused_secrets": tuple(value for _, value in unused),
            "secret_names": frozenset(entry["env"] for entry in secrets if "env" in entry),
            "files": tuple(in_directory(entry["file"], directory) for entry in secrets if "file" in entry),
        }
    )


def _for_worker(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document without what a worker does not need, and so need not have."""
    kept = {name: table for name, table in document.items() if name not in {"http", "tokens", "notify"}}
    sources = document.get("sources")
    if isinstance(sources, dict):
        kept["sources"] = {
            name: {key: value for key, value in source.items() if key != "secrets"}
            if isinstance(source, dict)
            else source
            for name, source in sources.items()
        }
    return kept


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingsError(1, f"cannot be read: {error.strerror}") from None


def _validate(document: dict[str, Any], context: SettingsContext, socket: str | None, where: KeyLines) -> Settings:
    tables, faults = _name_tables(document)
    tables["daemon"] = _with_paths(tables.get("daemon", {}), context.directory, socket)
    try:
        settings = Settings.model_validate(tables, context=context)
    except ValidationError as invalid:
        for error in invalid.errors():
            path = error_path(error, _place_in_file(error["loc"], document))
            known = [key for key in keys_of(Settings, path[:-1]) if key != LABELS.get(str(path[0]))]
            faults.append(SettingsFault(path, describe_error(error, path, known, TOML_FORMAT)))
        raise _settings_error(faults, where) from None
    if faults:
        raise _settings_error(faults, where)
    return settings


def _settings_error(faults: Iterable[SettingsFault], where: KeyLines) -> SettingsError:
    """Return one error for all `faults`, of which there is at least one."""
    (line, message), *rest = sorted({(where.line(path), message) for path, message in faults})
    return SettingsError(line, message, tuple(SettingsError(*each) for each in rest))


def _name_tables(document: dict[str, Any]) -> tuple[dict[str, Any], list[SettingsFault]]:
    """Add the key of each named table as a field of it; return all known tables, and the faults of the others."""
    tables: dict[str, Any] = {}
    faults: list[SettingsFault] = []
    for section, value in document.items():
        if section not in TABLES:
            faults.append(SettingsFault((section,), _unknown_table(section, value)))
        elif (label := LABELS.get(section)) is None:
            tables[section] = value
        elif not isinstance(value, dict):
            faults.append(SettingsFault((section,), f"{section} must be a table, not {type_in_words(value)}"))
        else:
            faults += [
                SettingsFault((section, name, label), f"unknown key {label!r} in {table_header((section, name))}")
                for name, table in value.items()
                if isinstance(table, dict) and label in table
            ]
            named = {name: table | {label: name} if isinstance(table, dict) else table for name, table in value.items()}
            tables[section] = tuple(named.values()) if section == "repositories" else named
    return tables, faults


def _unknown_table(key: str, value: object) -> str:
    if not isinstance(value, dict | list):
        return f"key '{key}' is outside of every table"
    return f"unknown table {table_header((key,))}{did_you_mean(key, TABLES, '[{}]')}"


def _with_paths(daemon: Any, directory: Path, socket: str | None) -> Any:
    """Set the paths that the client finds too, and make all of them absolute; validation refuses what is no path."""
    if not isinstance(daemon, dict):
        return daemon
    paths = {"state_dir": locations.state_dir(directory), "socket": locations.socket_path(socket, directory)}
    if isinstance(daemon.get("checkouts"), str) and daemon["checkouts"]:
        paths["checkouts"] = in_directory(daemon["checkouts"], directory)
    kept = {
        key: value for key, value in daemon.items() if key not in paths or value == "" or not isinstance(value, str)
    }
    return paths | kept


def _place_in_file(place: KeyPath, document: dict[str, Any]) -> KeyPath:
    """Return the path in the file of a place in the model."""
    match place:
        case ("repositories", int(index), *rest):
            return _place_in_file(("repositories", list(document["repositories"])[index], *rest), document)
        case (str(section), name, label) if label == LABELS.get(section):
            return (section, name)
    return place


def _warnings(settings: Settings, document: dict[str, Any], directory: Path) -> Iterator[tuple[KeyPath, str]]:
    if not settings.http.listen.is_loopback:
        yield ("http", "listen"), f"{settings.http.host} is reachable from other machines: put TLS in front of it"
    for source in settings.sources.values():
        yield from _source_warnings(settings, source)
    for index, target in enumerate(settings.notify):
        if target.missing_program is not None:
            yield ("notify", index, "run"), f"there is no program {target.missing_program}"
    for path, entry in secret_entries(document):
        if "file" in entry and is_world_readable(in_directory(entry["file"], directory)):
            yield (*path, "file"), f"every user of this machine can read {entry['file']}"


def _source_warnings(settings: Settings, source: SourceSettings) -> Iterator[tuple[KeyPath, str]]:
    place = ("sources", source.name)
    for key in ("token", "app"):
        if source.api is None and getattr(source, key) is not None:
            yield (*place, key), f"sources.{source.name}.{key} is not used without api"
    for index, secret in enumerate(source.secrets):
        if secret != secret.strip():
            yield (*place, "secrets", index), "the secret begins or ends with white space"
    if source.pull is None or source.app is None:
        return
    for entry in settings.repositories:
        if entry.workspace == source.workspace and entry.is_pattern:
            hint = "an App has a token for each repository, and none that lists them: write each as an entry of its own"
            yield (*place, "pull"), f"pull asks about no repository of {entry.pattern!r}: {hint}"
