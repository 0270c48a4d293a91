"""What pydantic found wrong with a rails file, in words for people and with the place in the text."""

from collections.abc import Iterable
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from shared.api import RailsFault
from shared.suggest import nearest
from stitcherd.config.errors import unknown_name
from stitcherd.config.yaml_nodes import YamlNode
from stitcherd.rails.schema import RailsFile

Path = tuple[int | str, ...]

_KINDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list, like [one, two]",
    "dict_type": "keys with values",
    "model_type": "keys with values",
}
_NOUNS = {"capabilities": "capability", "needs": "capability", "on": "event"}
_MANY = 4  # so many allowed words are named in a sentence; beyond, the nearest is


def fault_of(error: ErrorDetails, root: YamlNode) -> RailsFault:
    """Return the fault that one of pydantic's errors stands for."""
    path = error["loc"]
    if path[-1:] == ("[key]",):
        return RailsFault(*root.key_at(path[:-1]), _sentence(error, path[:-1]))
    if error["type"] == "extra_forbidden":
        return RailsFault(*root.key_at(path), _unknown_key(path))
    if error["type"] == "missing":
        return RailsFault(*root.key_at(path), _sentence(error, path))
    node = root.at(path)
    return RailsFault(node.line, node.column, _sentence(error, path))


def empty_values(root: YamlNode) -> list[RailsFault]:
    """Return a fault for every key or item without a value; a whole section may be left empty."""
    return [
        RailsFault(*place, f"{_name(path)} has no value: write one, or leave it out")
        for path, node, place in _leaves(root, (), (root.line, root.column))
        if node.value is None and len(path) > 1
    ]


def _leaves(node: YamlNode, path: Path, place: tuple[int, int]) -> Iterable[tuple[Path, YamlNode, tuple[int, int]]]:
    """Yield each single value with its path, and the place of its key where it has one."""
    if isinstance(node.value, dict):
        for key, child in node.value.items():
            yield from _leaves(child, (*path, key), node.keys[key])
    elif isinstance(node.value, list):
        for index, child in enumerate(node.value):
            yield from _leaves(child, (*path, index), (child.line, child.column))
    else:
        yield path, node, place


def _sentence(error: ErrorDetails, path: Path) -> str:
    kind, context = error["type"], error.get("ctx", {})
    name = _name(path)
    if kind == "rails":
        return error["msg"]
    if kind == "missing":
        return f"{path[-1]} is missing{' from ' + _name(path[:-1]) if len(path) > 1 else ''}"
    if kind == "literal_error":
        return _wrong_word(error["input"], path)
    if kind in _KINDS:
        return f"{name} must be {_KINDS[kind]}, not {_shown(error['input'])}"
    if path == ("version",):
        return f"version must be 1, not {_shown(error['input'])}"
    bounds = {
        "too_short": "must not be empty",
        "string_too_short": "must not be empty",
        "greater_than": f"must be more than {context.get('gt')}",
        "greater_than_equal": f"must be at least {context.get('ge')}",
        "less_than_equal": f"must be at most {context.get('le')}",
    }
    return f"{name} {bounds.get(kind, 'is wrong: ' + error['msg'])}"


def _wrong_word(given: object, path: Path) -> str:
    allowed = [str(word) for word in get_args(_annotation(path))]
    field = next(part for part in reversed(path) if isinstance(part, str))
    if field in _NOUNS and isinstance(given, str):
        return unknown_name(_NOUNS[field], given, allowed)
    if len(allowed) > _MANY:
        return f"{_name(path)} must be text, not {_shown(given)}"
    *some, last = allowed
    words = f"{', '.join(some)} or {last}" if some else last
    return f"{_name(path)} must be {words}, not {_shown(given)}"


def _unknown_key(path: Path) -> str:
    model = _annotation(path[:-1])
    known = [field.alias or name for name, field in model.model_fields.items()]
    near = nearest(str(path[-1]), known)
    if near is not None:
        return f"unknown key {str(path[-1])[:80]!r} (did you mean {near}?)"
    return f"unknown key {str(path[-1])[:80]!r}: {_name(path[:-1])} takes {', '.join(known)}"


def _annotation(path: Path) -> Any:
    """Return the type that the schema wants at a path."""
    here: Any = RailsFile
    for part in path:
        if isinstance(here, type) and issubclass(here, BaseModel):
            fields = {field.alias or name: field for name, field in here.model_fields.items()}
            here = _bare(fields[str(part)].annotation)
        else:
            item = 1 if get_origin(here) is dict else 0
            here = _bare(get_args(here)[item])
    return here


def _bare(annotation: Any) -> Any:
    """Return a type without its constraints and without `| None`."""
    while get_origin(annotation) is Annotated or type(None) in get_args(annotation):
        annotation = get_args(annotation)[0]
    return annotation


def _name(path: Path) -> str:
    if not path:
        return "the file"
    if isinstance(path[-1], int):
        return f"an item of {_name(path[:-1])}"
    return path[-1]


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, str):
        return repr(value[:80])
    return "a list" if isinstance(value, tuple) else "keys with values"
