"""A YAML text as values that know where they stand; it knows nothing of rails.

Built on the parser's events and not on its constructors: every value keeps its place, scalars follow YAML
1.2's core schema whatever the file's directive says, and the cost is bounded before anything is built.
"""

import re
from collections.abc import Callable
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


class YamlError(Exception):
    """The one fault that ends reading: the text is not the YAML that rails are written in."""

    def __init__(self, line: int, column: int, message: str) -> None:
        self.fault = RailsFault(line, column, message)
        super().__init__(message)


MAX_NODES = 20_000  # aliases count as what they stand for: a laughing file grows here, not in memory
MAX_DEPTH = 32

_SCALARS: tuple[tuple[re.Pattern[str], Callable[[str], float | bool | None]], ...] = (
    (re.compile(r"~|null|Null|NULL|"), lambda _: None),
    (re.compile(r"true|True|TRUE"), lambda _: True),
    (re.compile(r"false|False|FALSE"), lambda _: False),
    (re.compile(r"[-+]?[0-9]{1,18}", re.ASCII), int),
    (re.compile(r"0o[0-7]{1,18}|0x[0-9a-fA-F]{1,15}", re.ASCII), lambda text: int(text, 0)),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII), float),
)


@dataclass(slots=True)
class YamlNode:
    """A value and its place, both counted from 1; `keys` are the places of a mapping's keys."""

    line: int
    column: int
    value: str | float | bool | list["YamlNode"] | dict[str, "YamlNode"] | None
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)
    weight: int = 1
    closed: bool = True
    key: str | None = None  # of a mapping that is still open: whose value comes next

    def at(self, path: tuple[int | str, ...]) -> "YamlNode":
        """Return the node at a path of keys and indices, or the last one on the way that exists."""
        here = self
        for part in path:
            if isinstance(here.value, dict) and part in here.value:
                here = here.value[str(part)]
            elif isinstance(here.value, list) and isinstance(part, int):
                here = here.value[part]
        return here

    def key_at(self, path: tuple[int | str, ...]) -> tuple[int, int]:
        """Return line and column of the key that a path ends with; of its mapping where it is missing."""
        parent = self.at(path[:-1])
        return parent.keys.get(str(path[-1]), (parent.line, parent.column))

    def plain(self) -> Any:
        """Return the bare value, with lists as tuples and without the keys that have no value."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items() if node.value is not None}
        if isinstance(self.value, list):
            return tuple(node.plain() for node in self.value)
        return self.value


def parse_yaml(text: str) -> YamlNode | None:
    """Return the text's one document, or None where there is none; raises Misread."""
    try:
        return _document(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise YamlError(line, column, _sentence(error.problem or str(error.context))) from error
    except ReaderError as error:
        before = text[: error.position]
        column = len(before) - (before.rfind("\n") + 1) + 1
        message = f"the character U+{error.character:04X} cannot stand in YAML"
        raise YamlError(before.count("\n") + 1, column, message) from error
    except (YAMLError, ValueError, OverflowError) as error:  # the parser's own slips, as in `%YAML x`
        raise YamlError(1, 1, f"this is not YAML: {str(error).splitlines()[0]}") from error


def _sentence(problem: str) -> str:
    if "'\\t'" in problem:
        return "a tab cannot indent or start a value in YAML: use spaces"
    return f"this is not YAML: {problem}"


def _document(text: str) -> YamlNode | None:
    root: YamlNode | None = None
    branch: list[YamlNode] = []  # the collections that are still open, outermost first
    anchors: dict[str, YamlNode] = {}
    for event in YAML(typ="safe", pure=True).parse(text):
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if isinstance(event, DocumentStartEvent) and root is not None:
            raise YamlError(line, column, "a second document starts here: rails are one document")
        if isinstance(event, (MappingEndEvent, SequenceEndEvent)):
            _close(branch)
        elif isinstance(event, NodeEvent):
            node = _node(event, line, column, anchors)
            root = root or node
            _grow(branch, node, event)
    return root


def _close(branch: list[YamlNode]) -> None:
    node = branch.pop()
    node.closed = True
    if branch:
        branch[-1].weight += node.weight


def _grow(branch: list[YamlNode], node: YamlNode, event: NodeEvent) -> None:
    """Put a node where it belongs, before anything comes of it that is too big."""
    if len(branch) >= MAX_DEPTH:
        raise YamlError(node.line, node.column, f"nested more than {MAX_DEPTH} deep")
    if node.weight + sum(each.weight for each in branch) > MAX_NODES:
        raise YamlError(node.line, node.column, f"more than {MAX_NODES} values, aliases counted in full")
    if branch:
        _put(branch[-1], node, event)
    if not node.closed:
        branch.append(node)


def _node(event: NodeEvent, line: int, column: int, anchors: dict[str, YamlNode]) -> YamlNode:
    if isinstance(event, AliasEvent):
        if event.anchor not in anchors:
            raise YamlError(line, column, f"no anchor &{event.anchor} stands before this alias")
        node = anchors[event.anchor]
        if not node.closed:
            raise YamlError(line, column, f"the anchor &{event.anchor} cannot hold itself")
        return node
    tag = getattr(event, "tag", None)
    if tag is not None:
        raise YamlError(line, column, f"tags like {tag} have no meaning in rails")
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
        raise YamlError(node.line, node.column, "merge keys (<<) have no meaning in rails: write the keys out")
    key = str(event.value)
    if key in parent.keys:
        first = parent.keys[key][0]
        raise YamlError(node.line, node.column, f"the key {key!r} is here twice: first on line {first}")
    parent.keys[key] = (node.line, node.column)
    return key


def _scalar(text: str) -> str | float | bool | None:
    """Return what a plain scalar means in YAML 1.2's core schema (10.3.2): no dates, no `yes`, no octal 012."""
    return next((value(text) for pattern, value in _SCALARS if pattern.fullmatch(text)), text)
