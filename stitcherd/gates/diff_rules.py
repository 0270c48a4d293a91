"""The built-in gate `diff-rules`: checks what a change touches, adds and weakens."""

import asyncio
import stat
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain

from stitcherd.gates.base import GateInput, GateResult, Write
from stitcherd.gates.patch import DiffFinding, FileChange, UnreadableDiff, parse_diff
from stitcherd.gates.secrets import find_secrets
from stitcherd.gates.weakening import find_weakened_checks
from stitcherd.git.commit import CommitPatch, DiffStat, diff_stat, write_patch
from stitcherd.rails.compiled import PathRules

PATCH_MAX = 20 * 2**20  # bytes; a larger patch is not read
FINDINGS_MAX = 100  # that are printed; an agent is shown no more than these anyway

_ON_EDIT = {
    "deny": "the rails let only people edit it",
    "require-approval": "the rails require the approval of a person",
}


async def check_commit(gate_input: GateInput, write: Write) -> GateResult:
    """Check the change from the checkout's base to a commit, as Stitcher's own git sees it. Raises GitError."""
    checkout, commit = gate_input.checkout, gate_input.commit
    if commit is None:
        write(b"There is no change to check.\n")
        return GateResult(ok=True, reason="There is no change to check.")
    size = await diff_stat(checkout, commit)
    patch = await write_patch(checkout, commit)
    try:
        findings = await asyncio.to_thread(_find, patch, size, gate_input.rule.paths, gate_input.mask_secrets)
    except UnreadableDiff as error:
        return GateResult(ok=False, reason=f"The change could not be read: {error}")
    return _report(findings, size, write)


def check_changes(changes: Sequence[FileChange], size: DiffStat, rules: PathRules) -> list[DiffFinding]:
    """Return the findings of all rules but that on secrets, in the order of the files."""
    found = chain(
        _check_size(size, rules),
        *(chain(_check_path(change, rules), _check_file_type(change)) for change in changes),
        find_weakened_checks(changes, lambda path: rules.tests is not None and _glob_matches(rules.tests.match, path)),
    )
    return list(found)


def _find(
    patch: CommitPatch, size: DiffStat, rules: PathRules, mask_secrets: Callable[[bytes], bytes]
) -> list[DiffFinding]:
    length = patch.file.stat().st_size
    if length > PATCH_MAX:
        raise UnreadableDiff(f"it is {length // 2**20} MiB long, and at most {PATCH_MAX // 2**20} MiB are read")
    with patch.file.open("rb") as lines:
        changes = parse_diff(patch.entries, lines)
    found = check_changes(changes, size, rules)
    found += chain.from_iterable(map(partial(find_secrets, mask_secrets=mask_secrets), changes))
    return sorted(found, key=lambda finding: (finding.note, finding.path, finding.line or 0))


def _report(findings: Sequence[DiffFinding], size: DiffStat, write: Write) -> GateResult:
    write(f"{size.files} files, {size.additions} additions, {size.deletions} deletions\n".encode())
    for finding in findings[:FINDINGS_MAX]:
        write(f"{finding}\n".encode(errors="replace"))
    if len(findings) > FINDINGS_MAX:
        write(f"and {len(findings) - FINDINGS_MAX} more\n".encode())
    broken = [finding.rule for finding in findings if not finding.note and not finding.asks]
    if not broken and any(finding.asks for finding in findings):
        return GateResult(ok=True, reason="The change edits tests, and waits for a person's approval.", asks=True)
    if not broken:
        return GateResult(ok=True, reason="The change breaks no rule.")
    rules = ", ".join(dict.fromkeys(broken))
    return GateResult(ok=False, reason=f"The change breaks the rules, {len(broken)} times: {rules}.")


def _check_size(size: DiffStat, rules: PathRules) -> Iterator[DiffFinding]:
    lines = size.additions + size.deletions
    for unit, changed, limit in (("files", size.files, rules.max_files), ("lines", lines, rules.max_lines)):
        if limit is not None and changed > limit:
            yield DiffFinding(b".", None, "max_diff", f"{changed} {unit} are changed, and the rails allow {limit}")


def _check_path(change: FileChange, rules: PathRules) -> Iterator[DiffFinding]:
    if rules.protected is not None and _glob_matches(rules.protected.match, change.path):
        sentence = f"the rails protect this path, and it is {_action(change)}"
        yield DiffFinding(change.path, None, "protected", sentence)
    if rules.tests is None or rules.on_edit == "allow" or not _glob_matches(rules.tests.match, change.path):
        return
    if not (change.is_new and rules.may_add_tests):
        sentence = f"a test is {_action(change)}, and {_ON_EDIT[rules.on_edit]}"
        yield DiffFinding(change.path, None, "tests", sentence, asks=rules.on_edit == "require-approval")


def _check_file_type(change: FileChange) -> Iterator[DiffFinding]:
    path = change.path
    if change.makes_link:
        target = bytes(change.added.data[:200]).decode("utf-8", "backslashreplace").strip()
        sentence = f"a symbolic link to {target!r} is {_action(change)}; links are made by people"
        yield DiffFinding(path, None, "symlink", sentence)
    elif change.is_submodule or path == b".gitmodules":
        sentence = f"a submodule is {_action(change)}; submodules are pinned by people"
        yield DiffFinding(path, None, "submodule", sentence)
    elif change.is_binary and (change.is_new or b"\0" not in change.removed.data):
        yield DiffFinding(path, None, "binary", "the file is not text, so nobody can review it")
    if change.is_new and change.new_mode & stat.S_IXUSR:
        yield DiffFinding(path, None, "mode", "the new file is executable", note=True)
    elif stat.S_ISREG(change.old_mode) and stat.S_ISREG(change.new_mode) and change.old_mode != change.new_mode:
        before, after = (f"{mode & 0o777:o}" for mode in (change.old_mode, change.new_mode))
        yield DiffFinding(path, None, "mode", f"the mode of the file goes from {before} to {after}")


def _action(change: FileChange) -> str:
    return "added" if change.is_new else "deleted" if change.is_deleted else "changed"


def _glob_matches(match: Callable[[str], object], path: bytes) -> bool:
    """Return whether a compiled glob of the rails matches the path of a file, whatever bytes it consists of."""
    return bool(match(path.decode("utf-8", "surrogateescape")))
