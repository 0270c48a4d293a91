"""Reads YAML into nodes that know their line and column.

It is built on the events of the parser, not on its constructors: every value keeps its place, scalars follow the
core schema of YAML 1.2 whatever a directive says, and the size is limited before anything is built.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
)
from ruamel.yaml.reader import ReaderError

from shared.api import RailsFault
from stitcherd.config.errors import FileFormat, KeyPath

MAX_NODES = 20_000  # aliases count in full, so that one which refers to many others is refused before it is built
MAX_DEPTH = 32

_SCALARS: tuple[tuple[re.Pattern[str], Callable[[str], float | bool | None]], ...] = (
    (re.compile(r"~|null|Null|NULL|"), lambda _: None),
    (re.compile(r"true|True|TRUE"), lambda _: True),
    (re.compile(r"false|False|FALSE"), lambda _: False),
    (re.compile(r"[-+]?[0-9]{1,18}", re.ASCII), int),
    (re.compile(r"0o[0-7]{1,18}|0x[0-9a-fA-F]{1,15}", re.ASCII), lambda text: int(text, 0)),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII), float),
)


class YamlError(Exception):
    """A text that is not a YAML document we accept, with the fault that ends reading."""

    def __init__(self, line: int, column: int, message: str) -> None:
        self.fault = RailsFault(line, column, message)
        super().__init__(message)


@dataclass(slots=True)
class YamlNode:
    """A value with its line and column, from 1; `keys` has those of the keys of a mapping.

    `weight` is the number of nodes in it; while it is being read, `closed` is false, and `key` is the key of a mapping
    whose value comes next.
    """

    line: int
    column: int
    value: str | float | bool | list["YamlNode"] | dict[str, "YamlNode"] | None
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)
    weight: int = 1
    closed: bool = True
    key: str | None = None

    def at(self, path: KeyPath) -> "YamlNode":
        """Return the node at a path of keys and indices, or the last existing one on the way to it."""
        here = self
        for part in path:
            if isinstance(here.value, dict) and part in here.value:
                here = here.value[str(part)]
            elif isinstance(here.value, list) and isinstance(part, int):
                here = here.value[part]
        return here

    def key_at(self, path: KeyPath) -> tuple[int, int]:
        """Return line and column of the key that a path ends with; of its mapping if the key is missing."""
        parent = self.at(path[:-1])
        return parent.keys.get(str(path[-1]), (parent.line, parent.column))

    def plain(self) -> Any:
        """Return the plain value, with lists as tuples and without keys that have no value."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items() if node.value is not None}
        if isinstance(self.value, list):
            return tuple(node.plain() for node in self.value)
        return self.value

    def document(self) -> Any:
        """Return the plain value as JSON has it: with lists, and with null for keys that have no value."""
        if isinstance(self.value, dict):
            return {key: node.document() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.document() for node in self.value]
        return self.value

    def leaves(self) -> Iterator[tuple[KeyPath, "YamlNode", tuple[int, int]]]:
        """Yield each single value with its path, and the place of its key if it has one."""
        yield from _leaves(self, (), (self.line, self.column))


def parse_yaml(text: str) -> YamlNode | None:
    """Return the one document of a text, or None if there is none; raises YamlError."""
    try:
        return _document(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise YamlError(line, column, _describe(error.problem or str(error.context))) from error
    except ReaderError as error:
        before = text[: error.position]
        column = len(before) - (before.rfind("\n") + 1) + 1
        message = f"the character U+{error.character:04X} is not allowed in YAML"
        raise YamlError(before.count("\n") + 1, column, message) from error
    except (YAMLError, ValueError, OverflowError) as error:  # bugs of the parser, as with `%YAML x`
        raise YamlError(1, 1, f"this is not YAML: {str(error).splitlines()[0]}") from error


def _leaves(
    node: YamlNode, path: KeyPath, place: tuple[int, int]
) -> Iterator[tuple[KeyPath, YamlNode, tuple[int, int]]]:
    if isinstance(node.value, dict):
        for key, child in node.value.items():
            yield from _leaves(child, (*path, key), node.keys[key])
    elif isinstance(node.value, list):
        for index, child in enumerate(node.value):
            yield from _leaves(child, (*path, index), (child.line, child.column))
    else:
        yield path, node, place


def _describe(problem: str) -> str:
    if "'\\t'" in problem:
        return "a tab cannot indent or start a value in YAML: use spaces"
    return f"this is not YAML: {problem}"


def _document(text: str) -> YamlNode | None:
    root: YamlNode | None = None
    open_nodes: list[YamlNode] = []  # mappings and lists that are not closed yet, outermost first
    anchors: dict[str, YamlNode] = {}
    for event in YAML(typ="safe", pure=True).parse(text):
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if isinstance(event, DocumentStartEvent) and root is not None:
            raise YamlError(line, column, "a second document starts here: the file must be one document")
        if isinstance(event, (MappingEndEvent, SequenceEndEvent)):
            _close(open_nodes)
        elif isinstance(event, NodeEvent):
            node = _node(event, line, column, anchors)
            root = root or node
            _add(open_nodes, node, event)
    return root


def _close(open_nodes: list[YamlNode]) -> None:
    node = open_nodes.pop()
    node.closed = True
    if open_nodes:
        open_nodes[-1].weight += node.weight


def _add(open_nodes: list[YamlNode], node: YamlNode, event: NodeEvent) -> None:
    """Add a node to the innermost open one; raise YamlError if the document becomes too deep or too big."""
    if len(open_nodes) >= MAX_DEPTH:
        raise YamlError(node.line, node.column, f"nested more than {MAX_DEPTH} levels deep")
    if node.weight + sum(each.weight for each in open_nodes) > MAX_NODES:
        raise YamlError(node.line, node.column, f"more than {MAX_NODES} values, aliases counted in full")
    if open_nodes:
        _put(open_nodes[-1], node, event)
    if not node.closed:
        open_nodes.append(node)


def _node(event: NodeEvent, line: int, column: int, anchors: dict[str, YamlNode]) -> YamlNode:
    if isinstance(event, AliasEvent):
        if event.anchor not in anchors:
            raise YamlError(line, column, f"there is no anchor &{event.anchor} before this alias")
        node = anchors[event.anchor]
        if not node.closed:
            raise YamlError(line, column, f"the anchor &{event.anchor} cannot contain itself")
        return node
    tag = getattr(event, "tag", None)
    if tag is not None:
        raise YamlError(line, column, f"tags like {tag} are not supported")
    if isinstance(event, ScalarEvent):
        node = YamlNode(line, column, _scalar(event.value) if event.implicit[0] else event.value)
    elif isinstance(event, MappingStartEvent):
        node = YamlNode(line, column, {}, closed=False)
    else:
        node = YamlNode(line, column, [], closed=False)
    if event.anchor:
        anchors[event.anchor] = node
    return node


def _put(parent: YamlNode, node: YamlNode, event: NodeEvent) -> None:
    if isinstance(parent.value, list):
        parent.value.append(node)
    elif isinstance(parent.value, dict) and parent.key is not None:
        parent.value[parent.key] = node
        parent.key = None
    elif isinstance(parent.value, dict):
        parent.key = _key(parent, node, event)
    if node.closed:
        parent.weight += node.weight


def _key(parent: YamlNode, node: YamlNode, event: NodeEvent) -> str:
    if not isinstance(event, ScalarEvent):
        raise YamlError(node.line, node.column, "a key must be plain text")
    if node.value is None:
        raise YamlError(node.line, node.column, "a key is missing before this ':'")
    if event.value == "<<" and event.implicit[0]:
        raise YamlError(node.line, node.column, "merge keys (<<) are not supported: write the keys out")
    key = str(event.value)
    if key in parent.keys:
        first = parent.keys[key][0]
        raise YamlError(node.line, node.column, f"the key {key[:80]!r} is already on line {first}")
    parent.keys[key] = (node.line, node.column)
    return key


def _scalar(text: str) -> str | float | bool | None:
    """Return the value of a plain scalar in the core schema of YAML 1.2 (10.3.2): no dates, no `yes`, no octal 012."""
    return next((value(text) for pattern, value in _SCALARS if pattern.fullmatch(text)), text)


def _name(path: KeyPath) -> str:
    return f"an item of {_name(path[:-1])}" if isinstance(path[-1], int) else path[-1]


def _value_in_words(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, str):
        return repr(value[:80])
    return "a list" if isinstance(value, tuple) else "a mapping"


YAML_FORMAT = FileFormat(
    key=_name,
    mapping=lambda path: _name(path) if path else "",
    value=_value_in_words,
    sentence=lambda _, sentence: sentence,  # the column shows which value is meant
    lists="a list, like [one, two]",
    mappings="a mapping",
)
