"""The built-in gate on the change itself, from the base to the commit: what it touches, brings in and weakens."""

import asyncio
import stat
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain

from msgspec import Struct

from stitcherd.gates.patch import Change, Unreadable, read
from stitcherd.gates.result import Finding, GateResult
from stitcherd.gates.secrets import secrets
from stitcherd.gates.weakening import weakened
from stitcherd.git import GitFailed
from stitcherd.git.checkout import Checkout, DiffStat, Patch
from stitcherd.rails.rulebook import PathRules

LARGEST = 20 * 2**20  # bytes of a patch that is still read
SAID = 100  # findings that are printed; an agent is shown no more than that anyway

_ON_EDIT = {
    "deny": "the rails let nobody but people edit it",
    "require-approval": "the rails want a person to approve of that",
}


class Terms(Struct, frozen=True):
    """What the gate holds a change to: `paths` of the rails, seconds, and how Stitcher's own secrets are masked."""

    paths: PathRules
    timeout: float
    masked: Callable[[bytes], bytes]


async def judge(checkout: Checkout, commit: str | None, terms: Terms, say: Callable[[bytes], None]) -> GateResult:
    """Judge the change from the checkout's base to a commit, as Stitcher's own git sees it; each finding is said."""
    if commit is None:
        say(b"There is no change to judge.\n")
        return GateResult(ok=True, reason="There is no change to judge.")
    try:
        async with asyncio.timeout(terms.timeout):
            size = await checkout.diff(commit)
            patch = await checkout.patch(commit)
            findings = await asyncio.to_thread(_findings, patch, size, terms)
    except TimeoutError:
        return GateResult(ok=False, reason=f"The gate was still running after {terms.timeout:g} s and was ended.")
    except (GitFailed, Unreadable) as fault:
        return GateResult(ok=False, reason=f"The change could not be read: {fault}")
    return _verdict(findings, size, say)


def examine(changes: Sequence[Change], size: DiffStat, rules: PathRules) -> list[Finding]:
    """Return what the rules say of a change, in the order of its files; secrets are looked for elsewhere."""
    found = chain(
        _too_big(size, rules),
        *(chain(_paths(change, rules), _kinds(change)) for change in changes),
        weakened(changes, lambda path: rules.tests is not None and matches(rules.tests.match, path)),
    )
    return list(found)


def matches(match: Callable[[str], object], path: bytes) -> bool:
    """Say whether a compiled glob of the rails matches a path of a repository, whatever bytes that is made of."""
    return bool(match(path.decode("utf-8", "surrogateescape")))


def _findings(patch: Patch, size: DiffStat, terms: Terms) -> list[Finding]:
    length = patch.file.stat().st_size
    if length > LARGEST:
        raise Unreadable(f"it is {length // 2**20} MiB long, and at most {LARGEST // 2**20} MiB are read")
    with patch.file.open("rb") as lines:
        changes = read(patch.entries, lines)
    found = examine(changes, size, terms.paths)
    found += chain.from_iterable(map(partial(secrets, masked=terms.masked), changes))
    return sorted(found, key=lambda finding: (finding.note, finding.path, finding.line or 0))


def _verdict(findings: Sequence[Finding], size: DiffStat, say: Callable[[bytes], None]) -> GateResult:
    say(f"{size.files} files, {size.additions} additions, {size.deletions} deletions\n".encode())
    for finding in findings[:SAID]:
        say(f"{finding}\n".encode(errors="replace"))
    if len(findings) > SAID:
        say(f"and {len(findings) - SAID} more\n".encode())
    broken = [finding.rule for finding in findings if not finding.note and not finding.asks]
    if not broken and any(finding.asks for finding in findings):
        return GateResult(ok=True, reason="The change edits tests, and waits for a person's approval.", asks=True)
    if not broken:
        return GateResult(ok=True, reason="The change breaks no rule.")
    rules = ", ".join(dict.fromkeys(broken))
    return GateResult(ok=False, reason=f"The change breaks the rules, {len(broken)} times: {rules}.")


def _too_big(size: DiffStat, rules: PathRules) -> Iterator[Finding]:
    lines = size.additions + size.deletions
    for what, seen, most in (("files", size.files, rules.max_files), ("lines", lines, rules.max_lines)):
        if most is not None and seen > most:
            yield Finding(b".", None, "max_diff", f"{seen} {what} are changed, and the rails allow {most}")


def _paths(change: Change, rules: PathRules) -> Iterator[Finding]:
    if rules.protected is not None and matches(rules.protected.match, change.path):
        yield Finding(change.path, None, "protected", f"the rails protect this path, and it is {_done_to(change)}")
    if rules.tests is None or rules.on_edit == "allow" or not matches(rules.tests.match, change.path):
        return
    if not (change.is_new and rules.may_add_tests):
        sentence = f"a test is {_done_to(change)}, and {_ON_EDIT[rules.on_edit]}"
        yield Finding(change.path, None, "tests", sentence, asks=rules.on_edit == "require-approval")


def _kinds(change: Change) -> Iterator[Finding]:
    """Yield what is said of the kind of thing that a change makes of a path."""
    path = change.path
    if change.makes_link:
        target = bytes(change.added.data[:200]).decode("utf-8", "backslashreplace").strip()
        line = f"a symbolic link to {target!r} is {_done_to(change)}; links are made by people"
        yield Finding(path, None, "symlink", line)
    elif change.is_submodule or path == b".gitmodules":
        yield Finding(path, None, "submodule", f"a submodule is {_done_to(change)}; submodules are pinned by people")
    elif change.is_binary and (change.is_new or b"\0" not in change.removed.data):
        yield Finding(path, None, "binary", "the file is not text, so nobody can review it")
    if change.is_new and change.new_mode & stat.S_IXUSR:
        yield Finding(path, None, "mode", "the new file is executable", note=True)
    elif stat.S_ISREG(change.old_mode) and stat.S_ISREG(change.new_mode) and change.old_mode != change.new_mode:
        before, after = (f"{mode & 0o777:o}" for mode in (change.old_mode, change.new_mode))
        yield Finding(path, None, "mode", f"the mode of the file goes from {before} to {after}")


def _done_to(change: Change) -> str:
    return "added" if change.is_new else "deleted" if change.is_deleted else "changed"
