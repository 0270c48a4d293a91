"""Builds changes of files for the tests of the rules, and returns what the rules find in them."""

import difflib

from stitcherd.gates.diff_rules import check_changes
from stitcherd.gates.patch import ChangedLines, FileChange
from stitcherd.git.tree_changes import DiffStat
from stitcherd.rails.compiled import PathRules
from stitcherd.rails.load import parse_rails
from tests.stitcherd.rails.contexts import CONTEXT

FILE, PROGRAM, LINK, SUBMODULE = 0o100644, 0o100755, 0o120000, 0o160000
SMALL = DiffStat(1, 1, 1)
NO_RULES = PathRules(on_gate_edit="allow")


def rules(paths: str, *commands: str) -> PathRules:
    """Return the rules of a section `paths`; each command is the `run` of a gate."""
    gates = [f"gate-{at}: {{run: {command}}}" for at, command in enumerate(commands)]
    text = f"version: 1\npaths: {{{paths}}}\ngates: {{{', '.join(['scope: {builtin: diff-rules}', *gates])}}}\n"
    return parse_rails(text, CONTEXT).gates["scope"].paths


def change(path: str, old: str | None, new: str | None, old_mode: int = FILE, new_mode: int = FILE) -> FileChange:
    before, after = (old or "").splitlines(keepends=True), (new or "").splitlines(keepends=True)
    removed, added = ChangedLines(), ChangedLines()
    for tag, a, b, c, d in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        for side, lines, first, last in ((removed, before, a, b), (added, after, c, d)):
            if tag != "equal" and first != last:
                side.offsets.append(len(side.data))
                side.numbers.append(first + 1)
                side.data.extend("".join(lines[first:last]).encode())
    modes = 0 if old is None else old_mode, 0 if new is None else new_mode
    return FileChange(path.encode(), *modes, removed, added)


def added(path: str, text: str) -> FileChange:
    """Return a new file, whose lines end only with a line feed."""
    lines = ChangedLines()
    lines.offsets.append(0)
    lines.numbers.append(1)
    lines.data.extend(text.encode())
    return FileChange(path.encode(), 0, FILE, ChangedLines(), lines)


def found(
    *changes: FileChange, paths: PathRules = NO_RULES, size: DiffStat = SMALL, own: frozenset[str] = frozenset()
) -> list[str]:
    return [str(each) for each in check_changes(changes, size, paths, own)]
