"""The built-in gate `diff-rules`: checks what a change touches, adds and weakens."""

import asyncio
import posixpath
import stat
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain

from stitcherd.gates.base import GateInput, GateResult, Write
from stitcherd.gates.gate_commands import named_by_commands
from stitcherd.gates.gate_files import fold_name
from stitcherd.gates.gate_rules import ON_EDIT, OnEdit, find_gate_file, find_shadowing, shadowable_paths
from stitcherd.gates.hidden import find_hidden
from stitcherd.gates.patch import DiffFinding, FileChange, UnreadableDiff, list_changes, parse_diff
from stitcherd.gates.secrets import find_secrets
from stitcherd.gates.weakening import find_weakened_checks
from stitcherd.git.checkout import Checkout
from stitcherd.git.commit import CommitPatch, diff_stat, existing_paths, list_changed, write_patch
from stitcherd.git.tree_changes import DiffStat
from stitcherd.rails.compiled import PathRules

PATCH_MAX = 20 * 2**20  # bytes; a larger patch is not read
FINDINGS_MAX = 100  # that are printed; an agent is shown no more than these anyway

_ASKING = {"tests": "tests", "gates": "files that decide gates"}  # what is edited, by the rule that asks


async def check_commit(gate_input: GateInput, write: Write) -> GateResult:
    """Check the change from the checkout's base to a commit, as Stitcher's own git sees it. Raises GitError.

    Files that decide gates are compared with the checkout's gate base: the base may be a stranger's commit.
    """
    checkout, commit = gate_input.checkout, gate_input.commit
    if commit is None:
        write(b"There is no change to check.\n")
        return GateResult(ok=True, reason="There is no change to check.")
    size = await diff_stat(checkout, commit)
    patch = await write_patch(checkout, commit)
    rules = gate_input.rule.paths
    own_modules = await _own_modules(checkout, rules)
    is_change = checkout.gate_base != checkout.base
    gate_changes = list_changes(await list_changed(checkout, commit)) if is_change else None
    mask_secrets = gate_input.mask_secrets
    try:
        findings = await asyncio.to_thread(_find, patch, size, rules, own_modules, gate_changes, mask_secrets)
    except UnreadableDiff as error:
        return GateResult(ok=False, reason=f"The change could not be read: {error}")
    return _report(findings, size, write)


def check_changes(
    changes: Sequence[FileChange],
    size: DiffStat,
    rules: PathRules,
    own_modules: frozenset[str] = frozenset(),
    gate_changes: Sequence[FileChange] | None = None,
) -> list[DiffFinding]:
    """Return the findings of all rules but that on secrets, in the order of the files.

    `own_modules` are those of the modules that gates run which the gate base has itself, and `gate_changes` are the
    changes since the gate base, None where they are the same.
    """
    found = chain(
        _check_size(size, rules),
        *(
            chain(
                _check_protected(change, rules),
                _check_gate_file(change, rules, own_modules) if gate_changes is None else (),
                _check_tests(change, rules),
                _check_file_type(change),
                find_hidden(change),
            )
            for change in changes
        ),
        *(_check_since_gate_base(change, rules, own_modules) for change in gate_changes or ()),
        find_weakened_checks(changes, lambda path: rules.tests is not None and _glob_matches(rules.tests.match, path)),
    )
    return list(found)


async def _own_modules(checkout: Checkout, rules: PathRules) -> frozenset[str]:
    """Return those of the modules that gates run which the repository has itself."""
    existing = await existing_paths(checkout, shadowable_paths(named_by_commands(rules.commands)))
    modules = (path.rstrip("/").removesuffix(".py") for path in existing if path.endswith(("/", ".py")))
    return frozenset(map(posixpath.basename, modules))


def _find(
    patch: CommitPatch,
    size: DiffStat,
    rules: PathRules,
    own_modules: frozenset[str],
    gate_changes: Sequence[FileChange] | None,
    mask_secrets: Callable[[bytes], bytes],
) -> list[DiffFinding]:
    length = patch.file.stat().st_size
    if length > PATCH_MAX:
        raise UnreadableDiff(f"it is {length // 2**20} MiB long, and at most {PATCH_MAX // 2**20} MiB are read")
    with patch.file.open("rb") as lines:
        changes = parse_diff(patch.entries, lines)
    found = check_changes(changes, size, rules, own_modules, gate_changes)
    found += chain.from_iterable(map(partial(find_secrets, mask_secrets=mask_secrets), changes))
    return sorted(found, key=lambda finding: (finding.note, finding.path, finding.line or 0))


def _report(findings: Sequence[DiffFinding], size: DiffStat, write: Write) -> GateResult:
    write(f"{size}\n".encode())
    for finding in findings[:FINDINGS_MAX]:
        write(f"{finding}\n".encode(errors="replace"))
    if len(findings) > FINDINGS_MAX:
        write(f"and {len(findings) - FINDINGS_MAX} more\n".encode())
    broken = [finding.rule for finding in findings if not finding.note and not finding.asks]
    asking = [rule for rule in _ASKING if any(finding.asks and finding.rule == rule for finding in findings)]
    if not broken and asking:
        edited = " and ".join(_ASKING[rule] for rule in asking)
        reason = f"The change edits {edited}, and waits for a person's approval."
        return GateResult(ok=True, reason=reason, asks=tuple(f"paths.{rule}" for rule in asking))
    if not broken:
        return GateResult(ok=True, reason="The change breaks no rule.")
    rules = ", ".join(dict.fromkeys(broken))
    return GateResult(ok=False, reason=f"The change breaks the rules, {len(broken)} times: {rules}.")


def _check_size(size: DiffStat, rules: PathRules) -> Iterator[DiffFinding]:
    lines = size.additions + size.deletions
    for unit, changed, limit in (("files", size.files, rules.max_files), ("lines", lines, rules.max_lines)):
        if limit is not None and changed > limit:
            yield DiffFinding(b".", None, "max_diff", f"{changed} {unit} are changed, and the rails allow {limit}")


def _check_protected(change: FileChange, rules: PathRules) -> Iterator[DiffFinding]:
    if _is_protected(change, rules):
        sentence = f"the rails protect this path, and it is {_action(change)}"
        yield DiffFinding(change.path, None, "protected", sentence)


def _check_tests(change: FileChange, rules: PathRules) -> Iterator[DiffFinding]:
    if rules.tests is None or rules.on_edit == "allow" or not _glob_matches(rules.tests.match, change.path):
        return
    if not (change.is_new and rules.may_add_tests):
        sentence = f"a test is {_action(change)}, and {ON_EDIT[rules.on_edit]}"
        yield DiffFinding(change.path, None, "tests", sentence, asks=rules.on_edit == "require-approval")


def _check_gate_file(change: FileChange, rules: PathRules, own_modules: frozenset[str]) -> Iterator[DiffFinding]:
    on_edit = "allow" if _is_protected(change, rules) else rules.on_gate_edit
    return _find_gate_file(change, rules, own_modules, on_edit, _action(change))


def _check_since_gate_base(change: FileChange, rules: PathRules, own_modules: frozenset[str]) -> Iterator[DiffFinding]:
    """Yield what decides gates and is not as in the target branch, whoever changed it: the agent or the change."""
    action = f"{_action(change)} in comparison with the target branch"
    yield from _find_gate_file(change, rules, own_modules, rules.on_gate_edit, action)
    if _file_name(change) == ".gitattributes" and rules.on_gate_edit != "allow":
        sentence = f"git attributes change what every gate reads; these are {action}, and {ON_EDIT[rules.on_gate_edit]}"
        yield DiffFinding(change.path, None, "gates", sentence, asks=rules.on_gate_edit != "deny")


def _find_gate_file(
    change: FileChange, rules: PathRules, own_modules: frozenset[str], on_edit: OnEdit, action: str
) -> Iterator[DiffFinding]:
    path = change.path.decode("utf-8", "surrogateescape")
    named = named_by_commands(rules.commands)
    yield from find_shadowing(change, path, named=named, own=own_modules)
    is_added = rules.gates is not None and _glob_matches(rules.gates.match, change.path)
    yield from find_gate_file(change, path, named=named, is_added=is_added, on_edit=on_edit, action=action)


def _check_file_type(change: FileChange) -> Iterator[DiffFinding]:
    path, name = change.path, _file_name(change)
    if name == ".gitattributes":
        sentence = f"git attributes are {_action(change)}; they change what every gate reads, and are set by people"
        yield DiffFinding(path, None, "attributes", sentence)
    if change.makes_link:
        target = bytes(change.added.data[:200]).decode("utf-8", "backslashreplace").strip()
        sentence = f"a symbolic link to {target!r} is {_action(change)}; links are made by people"
        yield DiffFinding(path, None, "symlink", sentence)
    elif change.is_submodule or name == ".gitmodules":
        sentence = f"a submodule is {_action(change)}; submodules are pinned by people"
        yield DiffFinding(path, None, "submodule", sentence)
    elif change.is_binary and (change.is_new or b"\0" not in change.removed.data):
        yield DiffFinding(path, None, "binary", "the file is not text, so nobody can review it")
    if change.is_new and change.new_mode & stat.S_IXUSR:
        yield DiffFinding(path, None, "mode", "the new file is executable", note=True)
    elif stat.S_ISREG(change.old_mode) and stat.S_ISREG(change.new_mode) and change.old_mode != change.new_mode:
        before, after = (f"{mode & 0o777:o}" for mode in (change.old_mode, change.new_mode))
        yield DiffFinding(path, None, "mode", f"the mode of the file goes from {before} to {after}")


def _is_protected(change: FileChange, rules: PathRules) -> bool:
    return rules.protected is not None and _glob_matches(rules.protected.match, change.path)


def _file_name(change: FileChange) -> str:
    return fold_name(posixpath.basename(change.path.decode("utf-8", "surrogateescape")))


def _action(change: FileChange) -> str:
    return "added" if change.is_new else "deleted" if change.is_deleted else "changed"


def _glob_matches(match: Callable[[str], object], path: bytes) -> bool:
    """Return whether a compiled glob of the rails matches the path of a file, whatever bytes it consists of."""
    return bool(match(path.decode("utf-8", "surrogateescape")))
