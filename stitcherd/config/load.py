"""stitcherd.toml, read once at start into one frozen model, or refused whole where a word of it is wrong."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from shared import locations
from stitcherd.config.errors import (
    ConfigFault,
    SettingsError,
    describe_error,
    parse_toml,
    settings_error,
    type_in_words,
    unknown_key,
    unknown_table,
)
from stitcherd.config.secrets import is_world_readable, secret_entries
from stitcherd.config.settings import (
    DaemonSettings,
    ExecutorSettings,
    HttpSettings,
    RepositorySettings,
    RetentionSettings,
    Settings,
    SourceSettings,
    Table,
    TokenSettings,
)
from stitcherd.config.toml_lines import KeyLines, KeyPath
from stitcherd.config.types import in_directory

TABLES: dict[str, type[Table]] = {
    "daemon": DaemonSettings,
    "retention": RetentionSettings,
    "http": HttpSettings,
    "sources": SourceSettings,
    "repositories": RepositorySettings,
    "executors": ExecutorSettings,
    "tokens": TokenSettings,
}
_LABELS = {"sources": "name", "repositories": "pattern", "executors": "name"}  # what the key of a table is to it


def load(directory: Path, *, socket: str | None = None) -> Settings:
    """Return the settings of a config directory; without a file all defaults, and `missing` is set.

    `socket` is the flag of that name. Raises SettingsError, and shared.locations.PathTooLong.
    """
    directory = directory.absolute()
    content = _read(directory / locations.SETTINGS_FILE)
    document, where = parse_toml(content or b"")
    settings = _validate(document, directory, socket, where)
    warnings = sorted((where.line(path), message) for path, message in _warnings(settings, document, directory))
    return settings.model_copy(
        update={
            "missing": content is None,
            "warnings": tuple(f"stitcherd.toml:{line}: {message}" for line, message in warnings),
            "secret_names": frozenset(entry["env"] for _, entry in secret_entries(document) if "env" in entry),
            "files": tuple(
                in_directory(entry["file"], directory) for _, entry in secret_entries(document) if "file" in entry
            ),
        }
    )


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingsError(1, f"cannot be read: {error.strerror}") from None


def _validate(document: dict[str, Any], directory: Path, socket: str | None, where: KeyLines) -> Settings:
    tables, faults = _name_tables(document)
    tables["daemon"] = _with_paths(tables.get("daemon", {}), directory, socket)
    try:
        settings = Settings.model_validate(tables, context=directory)
    except ValidationError as invalid:
        for error in invalid.errors():
            path = _place_in_file(error["loc"], document)
            known = TABLES[str(path[0])].model_fields.keys() - {_LABELS.get(str(path[0]))}
            faults.append(describe_error(path, error, known))
        raise settings_error(faults, where) from None
    if faults:
        raise settings_error(faults, where)
    return settings


def _name_tables(document: dict[str, Any]) -> tuple[dict[str, Any], list[ConfigFault]]:
    """Tell every named table its name; return all tables that are ours, and the faults of the others."""
    tables: dict[str, Any] = {}
    faults: list[ConfigFault] = []
    for section, value in document.items():
        if section not in TABLES:
            faults.append(unknown_table(section, value, TABLES))
        elif (label := _LABELS.get(section)) is None:
            tables[section] = value
        elif not isinstance(value, dict):
            faults.append(ConfigFault((section,), f"{section}: must be a table, not {type_in_words(value)}"))
        else:
            faults += [
                unknown_key((section, name), label, ())
                for name, table in value.items()
                if isinstance(table, dict) and label in table
            ]
            named = {name: table | {label: name} if isinstance(table, dict) else table for name, table in value.items()}
            tables[section] = tuple(named.values()) if section == "repositories" else named
    return tables, faults


def _with_paths(daemon: Any, directory: Path, socket: str | None) -> Any:
    """Put both paths where the client looks for them too; what is no path is left to be refused."""
    if not isinstance(daemon, dict):
        return daemon
    places = {"state_dir": locations.state_dir(directory), "socket": locations.socket_path(socket, directory)}
    kept = {
        key: value for key, value in daemon.items() if key not in places or value == "" or not isinstance(value, str)
    }
    return places | kept


def _place_in_file(place: KeyPath, document: dict[str, Any]) -> KeyPath:
    """Return where the thing at a place of the model stands in the file."""
    match place:
        case ("repositories", int(index), *rest):
            return _place_in_file(("repositories", list(document["repositories"])[index], *rest), document)
        case (str(section), name, label) if label == _LABELS.get(section):
            return (section, name)
    return place


def _warnings(settings: Settings, document: dict[str, Any], directory: Path) -> Iterator[tuple[KeyPath, str]]:
    if not settings.http.listen.is_loopback:
        yield ("http", "listen"), f"{settings.http.host} is reachable from other machines: put TLS in front of it"
    for name, source in settings.sources.items():
        if source.api is not None:
            yield ("sources", name, "api"), f"sources.{name}.api: this version gives no answers on the thread"
    for path, entry in secret_entries(document):
        if "file" in entry and is_world_readable(in_directory(entry["file"], directory)):
            yield (*path, "file"), f"every user of this machine can read {entry['file']}"
