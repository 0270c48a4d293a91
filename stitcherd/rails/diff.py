"""Compares two revisions of the rails part by part, in the order of the newer one."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct
from pydantic import BaseModel

from shared.api import RailsChange
from stitcherd.config.yaml_nodes import YamlNode
from stitcherd.rails.schema import RailsFile

_NAMED = {"people": "group", "profiles": "profile", "jobs": "job", "gates": "gate"}  # mappings, by name
_LISTED = {"triggers": "trigger", "guards": "guard"}  # lists, by id
_MAX_NAMED = 4  # changes that a summary names; the others are only counted


class RailsPart(Struct, frozen=True):
    """A part of a file that changes as a whole: its line, and its content with every default written out."""

    line: int
    content: Any


def outline(file: RailsFile, root: YamlNode) -> dict[str, RailsPart]:
    """Return the parts of a file by name, such as `trigger fix-on-command` or `limits rate.per_sender`."""
    parts: dict[str, RailsPart] = {"mode": RailsPart(root.key_at(("mode",))[0], file.mode)}
    for section in RailsFile.model_fields:
        if section in {"version", "mode"}:
            continue
        value = getattr(file, section)
        if section in _NAMED:
            for name, spec in value.items():
                parts[f"{_NAMED[section]} {name}"] = RailsPart(root.key_at((section, name))[0], _full(spec))
        elif section in _LISTED:
            for at, spec in enumerate(value):
                parts[f"{_LISTED[section]} {spec.id}"] = RailsPart(root.at((section, at)).line, _full(spec))
        else:
            for path, leaf in _leaves(_full(value)):
                line = root.key_at((section, *path))[0]
                parts[f"{section} {'.'.join(path)}"] = RailsPart(line, leaf)
    return parts


def is_same_job_type(before: Mapping[str, RailsPart], after: Mapping[str, RailsPart], type_: str, profile: str) -> bool:
    """Say whether two revisions run jobs of a type in the same way: its profile, all gates, the paths, its budget.

    All gates count, since the files that any of them names decide what a commit may change.
    """

    def parts(rails: Mapping[str, RailsPart]) -> dict[str, Any]:
        names = {f"job {type_}", f"profile {profile}"}
        sections = ("gate ", "paths ", "limits budget.per_job")
        return {name: part.content for name, part in rails.items() if name in names or name.startswith(sections)}

    return parts(before) == parts(after)


def compare_rails(before: Mapping[str, RailsPart], after: Mapping[str, RailsPart]) -> tuple[RailsChange, ...]:
    """Return what is added, changed and moved in `after`, in its order, and then what is removed."""
    found = []
    for what, part in after.items():
        old = before.get(what)
        if old is None:
            found.append(RailsChange(what, "added", (), part.line))
        elif old.content != part.content:
            found.append(RailsChange(what, "changed", _keys(old.content, part.content), part.line))
    kept = [[name for name in names if name in before and name in after] for names in (_order(before), _order(after))]
    if kept[0] != kept[1]:
        found.append(RailsChange("triggers", "moved", (), after[kept[1][0]].line))
    found += [RailsChange(what, "removed", (), None) for what in before if what not in after]
    return tuple(found)


def summarize_changes(found: Sequence[RailsChange]) -> str:
    """Return changes in one line for people: `+1 trigger, gate lint changed (run)`."""
    counted: dict[str, int] = {}
    named = []
    for each in found:
        if each.change == "added":
            key = f"+{{}} {each.what.partition(' ')[0]}"
            counted[key] = counted.get(key, 0) + 1
        elif each.change == "removed":
            named.append(f"{each.what} removed")
        elif each.change == "moved":
            named.append("triggers reordered")
        else:
            keys = f" ({', '.join(each.keys)})" if each.keys else ""
            named.append(f"{each.what} changed{keys}")
    more = [f"{len(named) - _MAX_NAMED} more"] if len(named) > _MAX_NAMED else []
    return ", ".join([*(f"{key.format(n)}{'s' * (n > 1)}" for key, n in counted.items()), *named[:_MAX_NAMED], *more])


def _full(spec: BaseModel) -> dict[str, Any]:
    return spec.model_dump(by_alias=True)


def _leaves(content: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key), value


def _keys(before: Any, after: Any) -> tuple[str, ...]:
    if not isinstance(before, dict) or not isinstance(after, dict):
        return ()
    return tuple(key for key in after if before.get(key) != after[key])


def _order(parts: Mapping[str, RailsPart]) -> list[str]:
    return [what for what in parts if what.startswith("trigger ")]
