"""Bounds the parts of a rails file, so that no text keeps the daemon busy that loads it or simulates it."""

from collections.abc import Iterator

from shared.api import RailsFault
from stitcherd.config.yaml_nodes import YamlNode
from stitcherd.rails.schema import RailsFile

LIST_MAX = 1000  # entries of a list or a mapping
TEXT_MAX = 16_384  # characters of one text
TEXTS_MAX = 2**20  # of all texts, aliases counted in full
GLOBS_MAX = 65_536  # of all globs, aliases counted in full: compiling them takes a second


def oversized_parts(root: YamlNode) -> Iterator[RailsFault]:
    """Yield a fault for each list and text that is too long, and one if all texts are."""
    yield from _long_lists(root)
    total = 0
    for _, node, (line, column) in root.leaves():
        if not isinstance(node.value, str):
            continue
        if len(node.value) > TEXT_MAX:
            yield RailsFault(line, column, f"a text may have {TEXT_MAX} characters, and this one has {len(node.value)}")
        total += len(node.value)
        if total > TEXTS_MAX:
            yield RailsFault(line, column, f"more than {TEXTS_MAX} characters in all, aliases counted in full")
            return


def oversized_globs(file: RailsFile, root: YamlNode) -> Iterator[RailsFault]:
    """Yield a fault if all globs together are too long."""
    lists = [
        (("paths", "protected"), file.paths.protected),
        (("paths", "gates", "add"), file.paths.gates.add),
        (("paths", "tests", "globs"), file.paths.tests.globs),
        *((("triggers", at, "repos"), trigger.repos or ()) for at, trigger in enumerate(file.triggers)),
    ]
    total = 0
    for path, globs in lists:
        total += sum(map(len, globs))
        if total > GLOBS_MAX:
            line, column = root.key_at(path)
            yield RailsFault(line, column, f"the globs of this file have more than {GLOBS_MAX} characters in all")
            return


def _long_lists(node: YamlNode) -> Iterator[RailsFault]:
    children = list(node.value.values()) if isinstance(node.value, dict) else node.value
    if not isinstance(children, list):
        return
    if len(children) > LIST_MAX:
        first = children[LIST_MAX]
        noun = "mapping" if isinstance(node.value, dict) else "list"
        yield RailsFault(first.line, first.column, f"a {noun} may have {LIST_MAX} entries: this is one more")
        return
    for child in children:
        yield from _long_lists(child)
