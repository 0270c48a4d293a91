"""The built-in gate on the change itself, from the base to the commit: what it touches, brings in and weakens."""

import asyncio
import stat
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain

from msgspec import Struct

from stitcherd.gates.base import GateResult
from stitcherd.gates.patch import DiffFinding, FileChange, UnreadableDiff, parse_diff
from stitcherd.gates.secrets import find_secrets
from stitcherd.gates.weakening import find_weakened_checks
from stitcherd.git import GitError
from stitcherd.git.checkout import Checkout, CommitPatch, DiffStat
from stitcherd.rails.compiled import PathRules

PATCH_MAX = 20 * 2**20  # bytes of a patch that is still read
FINDINGS_MAX = 100  # findings that are printed; an agent is shown no more than that anyway

_ON_EDIT = {
    "deny": "the rails let nobody but people edit it",
    "require-approval": "the rails want a person to approve of that",
}


class DiffRulesInput(Struct, frozen=True):
    """What the gate holds a change to: `paths` of the rails, seconds, and how Stitcher's own secrets are masked."""

    paths: PathRules
    timeout: float
    masked: Callable[[bytes], bytes]


async def check_diff(
    checkout: Checkout, commit: str | None, terms: DiffRulesInput, write: Callable[[bytes], None]
) -> GateResult:
    """Judge the change from the checkout's base to a commit, as Stitcher's own git sees it; each finding is said."""
    if commit is None:
        write(b"There is no change to judge.\n")
        return GateResult(ok=True, reason="There is no change to judge.")
    try:
        async with asyncio.timeout(terms.timeout):
            size = await checkout.diff(commit)
            patch = await checkout.patch(commit)
            findings = await asyncio.to_thread(_findings, patch, size, terms)
    except TimeoutError:
        return GateResult(ok=False, reason=f"The gate was still running after {terms.timeout:g} s and was ended.")
    except (GitError, UnreadableDiff) as fault:
        return GateResult(ok=False, reason=f"The change could not be read: {fault}")
    return _report(findings, size, write)


def check_changes(changes: Sequence[FileChange], size: DiffStat, rules: PathRules) -> list[DiffFinding]:
    """Return what the rules say of a change, in the order of its files; secrets are looked for elsewhere."""
    found = chain(
        _check_size(size, rules),
        *(chain(_check_path(change, rules), _check_file_type(change)) for change in changes),
        find_weakened_checks(changes, lambda path: rules.tests is not None and glob_matches(rules.tests.match, path)),
    )
    return list(found)


def glob_matches(match: Callable[[str], object], path: bytes) -> bool:
    """Say whether a compiled glob of the rails matches a path of a repository, whatever bytes that is made of."""
    return bool(match(path.decode("utf-8", "surrogateescape")))


def _findings(patch: CommitPatch, size: DiffStat, terms: DiffRulesInput) -> list[DiffFinding]:
    length = patch.file.stat().st_size
    if length > PATCH_MAX:
        raise UnreadableDiff(f"it is {length // 2**20} MiB long, and at most {PATCH_MAX // 2**20} MiB are read")
    with patch.file.open("rb") as lines:
        changes = parse_diff(patch.entries, lines)
    found = check_changes(changes, size, terms.paths)
    found += chain.from_iterable(map(partial(find_secrets, masked=terms.masked), changes))
    return sorted(found, key=lambda finding: (finding.note, finding.path, finding.line or 0))


def _report(findings: Sequence[DiffFinding], size: DiffStat, write: Callable[[bytes], None]) -> GateResult:
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
    for what, seen, most in (("files", size.files, rules.max_files), ("lines", lines, rules.max_lines)):
        if most is not None and seen > most:
            yield DiffFinding(b".", None, "max_diff", f"{seen} {what} are changed, and the rails allow {most}")


def _check_path(change: FileChange, rules: PathRules) -> Iterator[DiffFinding]:
    if rules.protected is not None and glob_matches(rules.protected.match, change.path):
        yield DiffFinding(change.path, None, "protected", f"the rails protect this path, and it is {_action(change)}")
    if rules.tests is None or rules.on_edit == "allow" or not glob_matches(rules.tests.match, change.path):
        return
    if not (change.is_new and rules.may_add_tests):
        sentence = f"a test is {_action(change)}, and {_ON_EDIT[rules.on_edit]}"
        yield DiffFinding(change.path, None, "tests", sentence, asks=rules.on_edit == "require-approval")


def _check_file_type(change: FileChange) -> Iterator[DiffFinding]:
    """Yield what is said of the kind of thing that a change makes of a path."""
    path = change.path
    if change.makes_link:
        target = bytes(change.added.data[:200]).decode("utf-8", "backslashreplace").strip()
        line = f"a symbolic link to {target!r} is {_action(change)}; links are made by people"
        yield DiffFinding(path, None, "symlink", line)
    elif change.is_submodule or path == b".gitmodules":
        yield DiffFinding(path, None, "submodule", f"a submodule is {_action(change)}; submodules are pinned by people")
    elif change.is_binary and (change.is_new or b"\0" not in change.removed.data):
        yield DiffFinding(path, None, "binary", "the file is not text, so nobody can review it")
    if change.is_new and change.new_mode & stat.S_IXUSR:
        yield DiffFinding(path, None, "mode", "the new file is executable", note=True)
    elif stat.S_ISREG(change.old_mode) and stat.S_ISREG(change.new_mode) and change.old_mode != change.new_mode:
        before, after = (f"{mode & 0o777:o}" for mode in (change.old_mode, change.new_mode))
        yield DiffFinding(path, None, "mode", f"the mode of the file goes from {before} to {after}")


def _action(change: FileChange) -> str:
    return "added" if change.is_new else "deleted" if change.is_deleted else "changed"
