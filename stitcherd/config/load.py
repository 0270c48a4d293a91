"""stitcherd.toml, read once at start into one frozen model, or refused whole where a word of it is wrong."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator

from shared import locations
from stitcherd.settings.credentials import entries, is_open
from stitcherd.settings.faults import (
    Fault,
    SettingsError,
    in_words,
    kind_of,
    parse,
    refusal,
    unknown_key,
    unknown_table,
)
from stitcherd.settings.positions import KeyPath, Positions
from stitcherd.settings.tables import (
    DaemonSettings,
    ExecutorSettings,
    HttpSettings,
    RepositorySettings,
    RetentionSettings,
    SourceSettings,
    Table,
    TokenSettings,
)
from stitcherd.settings.values import fault, in_directory

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

_PART = r"(?!-)[A-Za-z0-9_.-]+"
_REPOSITORY = re.compile(rf"(?P<owner>{_PART}(?:/{_PART})*)/(?P<name>{_PART})")  # a group of GitLab may lie in another
_SHORTEST_SECRET = 6  # a shorter one would blot out words that are none


class Settings(Table):
    """The whole file, and what was noticed when it was read.

    `secret_names` are the environment variables that hold secrets: no agent may be given them, and `files`
    those that hold secrets.
    """

    daemon: DaemonSettings
    retention: RetentionSettings = RetentionSettings()
    http: HttpSettings = HttpSettings()
    sources: Mapping[str, SourceSettings] = Field(default_factory=dict)
    repositories: tuple[RepositorySettings, ...] = ()
    executors: Mapping[str, ExecutorSettings] = Field(default_factory=dict)
    tokens: tuple[TokenSettings, ...] = ()
    missing: bool = False
    warnings: tuple[str, ...] = ()
    secret_names: frozenset[str] = frozenset()
    files: tuple[Path, ...] = ()

    @field_validator("tokens")
    @classmethod
    def _all_differ(cls, tokens: tuple[TokenSettings, ...]) -> tuple[TokenSettings, ...]:
        for key in ("name", "sha256"):
            seen: set[str] = set()
            for index, token in enumerate(tokens):
                if (value := getattr(token, key)) in seen:
                    raise fault(f"another token has the same {key}", (index, key))
                seen.add(value)
        return tokens

    @property
    def secret_values(self) -> tuple[bytes, ...]:
        """Every secret long enough to be told from a word; the longest first, as redaction needs them."""
        found = {secret for source in self.sources.values() for secret in source.secrets}
        tokens = [source.token for source in self.sources.values()]
        tokens += [executor.token for executor in self.executors.values()]
        found |= {token.encode() for token in tokens if token}
        return tuple(sorted((each for each in found if len(each) >= _SHORTEST_SECRET), key=len, reverse=True))

    @property
    def private(self) -> tuple[Path, ...]:
        """The paths that no sandbox may be shown, besides the config directory and those that nobody's may."""
        return Path(self.daemon.state_dir), Path(self.daemon.socket), *self.files

    def repository(self, name: str) -> RepositorySettings | None:
        """Return the first entry for `owner/name`, with both filled into its `clone`.

        None where there is none, and for a name that could climb out of a path or be read as an option.
        """
        parts = _REPOSITORY.fullmatch(name)
        if parts is None or ".." in name or "." in name.split("/"):
            return None
        for entry in self.repositories:
            if entry.matches(name):
                clone = entry.clone.replace("{owner}", parts["owner"]).replace("{name}", parts["name"])
                return entry.model_copy(update={"clone": clone})
        return None


def load(directory: Path, *, socket: str | None = None) -> Settings:
    """Return the settings of a config directory; without a file all defaults, and `missing` is set.

    `socket` is the flag of that name. Raises SettingsError, and shared.locations.PathTooLong.
    """
    directory = directory.absolute()
    content = _read(directory / locations.SETTINGS)
    document, where = parse(content or b"")
    settings = _validated(document, directory, socket, where)
    warnings = sorted((where.line(path), message) for path, message in _warnings(settings, document, directory))
    return settings.model_copy(
        update={
            "missing": content is None,
            "warnings": tuple(f"stitcherd.toml:{line}: {message}" for line, message in warnings),
            "secret_names": frozenset(entry["env"] for _, entry in entries(document) if "env" in entry),
            "files": tuple(in_directory(entry["file"], directory) for _, entry in entries(document) if "file" in entry),
        }
    )


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingsError(1, f"cannot be read: {error.strerror}") from None


def _validated(document: dict[str, Any], directory: Path, socket: str | None, where: Positions) -> Settings:
    tables, faults = _labelled(document)
    tables["daemon"] = _placed(tables.get("daemon", {}), directory, socket)
    try:
        settings = Settings.model_validate(tables, context=directory)
    except ValidationError as invalid:
        for error in invalid.errors():
            path = _written(error["loc"], document)
            known = TABLES[str(path[0])].model_fields.keys() - {_LABELS.get(str(path[0]))}
            faults.append(in_words(path, error, known))
        raise refusal(faults, where) from None
    if faults:
        raise refusal(faults, where)
    return settings


def _labelled(document: dict[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    """Tell every named table its name; return all tables that are ours, and the faults of the others."""
    tables: dict[str, Any] = {}
    faults: list[Fault] = []
    for section, value in document.items():
        if section not in TABLES:
            faults.append(unknown_table(section, value, TABLES))
        elif (label := _LABELS.get(section)) is None:
            tables[section] = value
        elif not isinstance(value, dict):
            faults.append(Fault((section,), f"{section}: must be a table, not {kind_of(value)}"))
        else:
            faults += [
                unknown_key((section, name), label, ())
                for name, table in value.items()
                if isinstance(table, dict) and label in table
            ]
            named = {name: table | {label: name} if isinstance(table, dict) else table for name, table in value.items()}
            tables[section] = tuple(named.values()) if section == "repositories" else named
    return tables, faults


def _placed(daemon: Any, directory: Path, socket: str | None) -> Any:
    """Put both paths where the client looks for them too; what is no path is left to be refused."""
    if not isinstance(daemon, dict):
        return daemon
    places = {"state_dir": locations.state_dir(directory), "socket": locations.socket_path(socket, directory)}
    kept = {
        key: value for key, value in daemon.items() if key not in places or value == "" or not isinstance(value, str)
    }
    return places | kept


def _written(place: KeyPath, document: dict[str, Any]) -> KeyPath:
    """Return where the thing at a place of the model stands in the file."""
    match place:
        case ("repositories", int(index), *rest):
            return _written(("repositories", list(document["repositories"])[index], *rest), document)
        case (str(section), name, label) if label == _LABELS.get(section):
            return (section, name)
    return place


def _warnings(settings: Settings, document: dict[str, Any], directory: Path) -> Iterator[tuple[KeyPath, str]]:
    if not settings.http.listen.is_loopback:
        yield ("http", "listen"), f"{settings.http.host} is reachable from other machines: put TLS in front of it"
    for name, source in settings.sources.items():
        if source.api is not None:
            yield ("sources", name, "api"), f"sources.{name}.api: this version gives no answers on the thread"
    for path, entry in entries(document):
        if "file" in entry and is_open(in_directory(entry["file"], directory)):
            yield (*path, "file"), f"every user of this machine can read {entry['file']}"
