"""Turns validation errors of the configuration files into sentences; both file formats share them.

A file format says how it names keys, mappings and values in a `FileFormat`, and finds the line by itself.
"""

from collections.abc import Callable, Collection, Iterable
from typing import Annotated, Any, NamedTuple, TypeAlias, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails, PydanticCustomError

from shared.suggest import did_you_mean

KeyPath: TypeAlias = tuple[str | int, ...]  # ("sources", "github", "secrets", 1, "env")

_INVALID = "invalid"  # the type of the errors that validators raise with a sentence of their own
_UNLISTED = "unlisted"
_MAX_SHOWN = 80  # characters of a wrong word
_NOUNS = {  # keys with too many allowed words to list them all in a sentence
    "capabilities": "capability",
    "needs": "capability",
    "on": "event",
    "permissions": "permission",
}


class FileFormat(NamedTuple):
    """How a file format names its parts in a sentence."""

    key: Callable[[KeyPath], str]  # `daemon.workers` or `an item of users`
    mapping: Callable[[KeyPath], str]  # what holds keys: `[daemon]` or `caged`; empty for the whole file
    value: Callable[[object], str]  # what was written: `a whole number` or `the number 7`
    sentence: Callable[[KeyPath, str], str]  # a sentence of a validator, with the key in front if it needs one
    lists: str
    mappings: str


def invalid_value(sentence: str, at: KeyPath = ()) -> PydanticCustomError:
    """Return an error to raise from a validator; `at` is the place of the fault inside the validated value."""
    return PydanticCustomError(_INVALID, "{sentence}", {"sentence": sentence, "at": at})


def missing_key(key: str) -> PydanticCustomError:
    """Return the error of a required key, to raise from a validator of its table."""
    return PydanticCustomError("missing", "missing", {"at": (key,)})


def require_listed(value: str, choices: Collection[str]) -> str:
    """Return `value` if it is one of the choices; raise the same error as for a Literal if not."""
    if value not in choices:
        raise PydanticCustomError(_UNLISTED, "{expected}", {"expected": " or ".join(map(repr, choices))})
    return value


def error_path(error: ErrorDetails, path: KeyPath) -> KeyPath:
    """Return the place of an error in the file; `path` is the place of the validated value."""
    return (*path, *error.get("ctx", {}).get("at", ()))


def describe_error(error: ErrorDetails, path: KeyPath, known: Iterable[str], names: FileFormat) -> str:
    """Return the sentence for an error at `path`; `known` are the keys allowed beside the one that it ends with."""
    match error["type"]:
        case "extra_forbidden":
            return _unknown_key(path, list(known), names)
        case "missing":
            holder = names.mapping(path[:-1])
            return f"{path[-1]} is missing" + (f" from {holder}" if holder else "")
        case "literal_error" | "unlisted":
            return _not_a_choice(error, path, names)
        case "invalid":
            return names.sentence(path, error["msg"])
        case "value_error":
            return names.sentence(path, str(error["ctx"]["error"]))
    return f"{names.key(path)} {_complaint(error, names)}"


def unknown_name(noun: str, name: str, known: Iterable[str]) -> str:
    """Return the sentence for an unknown name, with the nearest known one, or all of them."""
    names = list(known)
    hint = did_you_mean(name, names)
    if not hint:
        hint = f": there is {', '.join(names) or 'none'}"
    return f"unknown {noun} {name[:_MAX_SHOWN]!r}{hint}"


def keys_of(model: type[BaseModel], path: KeyPath) -> list[str]:
    """Return the keys, as written in the file, of the mapping at a path of a model; none if it is open."""
    here: Any = model
    for part in path:
        if _is_model(here):
            here = _bare(_fields(here)[str(part)])
        else:
            here = _bare(get_args(here)[1 if get_origin(here) is not tuple else 0])
    return list(_fields(here)) if _is_model(here) else []


def _unknown_key(path: KeyPath, known: list[str], names: FileFormat) -> str:
    key, holder = str(path[-1]), names.mapping(path[:-1])
    hint = did_you_mean(key, known)
    if not hint and known:
        hint = f": it takes {', '.join(known)}"
    return f"unknown key {key[:_MAX_SHOWN]!r}{f' in {holder}' if holder else ''}{hint}"


def _not_a_choice(error: ErrorDetails, path: KeyPath, names: FileFormat) -> str:
    given, key = error["input"], names.key(path)
    choices = [each.strip("'") for each in error["ctx"]["expected"].replace(" or ", ", ").split(", ")]
    noun = _NOUNS.get(next(part for part in reversed(path) if isinstance(part, str)))
    if not isinstance(given, str):
        return f"{key} must be {'text' if noun else _one_of(choices)}, not {names.value(given)}"
    if noun:
        return unknown_name(noun, given, choices)
    return f"{key} must be {_one_of(choices)}, not {given[:_MAX_SHOWN]!r}{did_you_mean(given, choices)}"


def _one_of(choices: list[str]) -> str:
    *some, last = choices
    return f"{', '.join(some)} or {last}" if some else last


def _complaint(error: ErrorDetails, names: FileFormat) -> str:
    context = error.get("ctx", {})
    expected = {
        "string_type": "text",
        "int_type": "a whole number",
        "float_type": "a number",
        "bool_type": "true or false",
        "tuple_type": names.lists,
        "frozen_set_type": names.lists,
        "mapping_type": names.mappings,
        "dict_type": names.mappings,
        "model_type": names.mappings,
    }
    kind = error["type"]
    if kind in expected:
        return f"must be {expected[kind]}, not {names.value(error['input'])}"
    bounds = {
        "too_short": "must not be empty",
        "string_too_short": "must not be empty",
        "greater_than": f"must be more than {context.get('gt')}",
        "greater_than_equal": f"must be at least {context.get('ge')}",
        "string_too_long": f"must have at most {context.get('max_length')} characters",
        "too_long": f"must have at most {context.get('max_length')} entries",
        "less_than_equal": f"must be at most {context.get('le')}",
    }
    return bounds.get(kind, f"is wrong: {error['msg']}")


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _bare(annotation: Any) -> Any:
    """Return a type without its constraints and without `| None`."""
    while get_origin(annotation) is Annotated or type(None) in get_args(annotation):
        annotation = get_args(annotation)[0]
    return annotation
