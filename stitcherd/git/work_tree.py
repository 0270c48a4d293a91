"""Commits what an agent changed in the work tree of its checkout, and leaves out what was there before."""

from stitcherd.git import GitError, UncommittableTree, without_controls
from stitcherd.git.base_tree import BaseTree, explain_failed_add, join_names, read_base_tree
from stitcherd.git.baseline import BASELINE_FILE, write_baseline
from stitcherd.git.checkout import Checkout, refuse_links
from stitcherd.git.clones import run_on_disk
from stitcherd.git.lfs import find_lfs_paths, find_pointers
from stitcherd.git.repository_files import IndexFile
from stitcherd.git.size import check_added_size
from stitcherd.git.tree_changes import RAW_CHANGES, TreeChanges, parse_changes, reverting_entries, without_conflicts

BASE_TREES_MAX = 64
IGNORED_FILES = ("ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z")


async def get_base_tree(checkout: Checkout) -> BaseTree:
    """Return what matters of the tree of the base, read once for the jobs that start there. Raises GitError."""
    base, known = str(checkout.base), checkout.base_trees
    if base not in known:
        if len(known) >= BASE_TREES_MAX:
            known.pop(next(iter(known)))
        known[base] = await read_base_tree(checkout.run_git, base, checkout.base_index)
    return known[base]


async def record_baseline(checkout: Checkout, *, prepared: bool) -> None:
    """Record how the work tree differs from the base before an agent works in it; no commit will contain that.

    `prepared` says that commands have run in it. Raises GitError.
    """
    if checkout.base is None:
        return
    base = await get_base_tree(checkout)
    if not (prepared or base.has_attributes):
        return  # git converts nothing, and nobody wrote anything
    await _start_index(checkout, base)
    _tree, changes = await _stage(checkout)
    ignored = await checkout.run_git(*IGNORED_FILES, tree=checkout.work) if prepared else b""
    checkout.baseline = await write_baseline(checkout.directory / BASELINE_FILE, changes, ignored)


async def commit_work_tree(checkout: Checkout, message: str, author: str = "Stitcher") -> str | None:
    """Commit what an agent changed in the work tree as one commit on the base; return its sha, None for no change.

    Submodules stay as in the base, with `.gitmodules`. Raises UncommittableTree where the agent can remove the reason:
    a repository inside the tree, whose files would be lost, for one; and GitError.
    """
    if checkout.mirror is None or checkout.base is None:
        return None
    refuse_links(checkout.work, checkout.work / ".git")
    await checkout.renew_repository()
    base = await get_base_tree(checkout)
    await _start_index(checkout, base)
    exempt = checkout.baseline.untouched_files(checkout.work)
    await check_added_size(checkout.run_git, checkout.work, checkout.base, exempt)
    tree, entries = await _stage(checkout)
    changes = parse_changes(entries)
    untouched = checkout.baseline.untouched(changes, checkout.work)
    reverted = without_conflicts(untouched | base.always_reverted(changes), changes)
    made = {path: change for path, change in changes.items() if path not in reverted}
    if not made:
        return None
    base.check(made)
    if base.mentions_lfs:
        await _refuse_contents_of_lfs(checkout, made)
    if reverted:
        await checkout.run_git("update-index", "-z", "--index-info", stdin=reverting_entries(reverted))
        tree, entries = await _write_tree(checkout)
    words, text = ("commit-tree", "-p", checkout.base, "-F", "-", tree), without_controls(message)
    made_by = without_controls(author)
    sha = (await checkout.run_git(*words, stdin=text.encode(errors="replace"), author=made_by)).decode().strip()
    checkout.entries[sha] = entries
    return sha


async def _start_index(checkout: Checkout, base: BaseTree) -> None:
    """Create the index of the commit, which holds the base. Raises GitError."""
    index = checkout.directory / "index"
    index.unlink(missing_ok=True)
    if checkout.base_stat is not None and not base.has_attributes:  # else git has to read all, to convert all alike
        await run_on_disk(IndexFile.write, checkout.base_stat, index)
    else:
        await checkout.run_git("read-tree", str(checkout.base))
    if base.submodules:  # for these `git add` would run `git status` inside, with the configuration found there
        skip = ("update-index", "--skip-worktree", "-z", "--stdin")
        await checkout.run_git(*skip, tree=checkout.work, stdin=b"\0".join(base.submodules))


async def _stage(checkout: Checkout) -> tuple[str, bytes]:
    """Add the whole work tree to the index; return as `_write_tree`. Raises UncommittableTree and GitError."""
    try:
        await checkout.run_git("add", "-A", "--", ".", tree=checkout.work)
    except GitError as error:
        raise explain_failed_add(error) from error
    return await _write_tree(checkout)


async def _write_tree(checkout: Checkout) -> tuple[str, bytes]:
    """Write the tree of the index; return it, and what differs from the base, as of `--raw -z`. Raises GitError."""
    tree = (await checkout.run_git("write-tree")).decode().strip()
    return tree, await checkout.run_git(*RAW_CHANGES, str(checkout.base), tree)


async def _refuse_contents_of_lfs(checkout: Checkout, changes: TreeChanges) -> None:
    """Raise UncommittableTree where a file that the base gives to Git LFS is not a pointer."""
    await checkout.run_git("read-tree", str(checkout.base), index=checkout.base_index)
    files = {path: change.after.sha for path, change in changes.items() if change.after.is_file}
    paths = await find_lfs_paths(checkout.run_git, checkout.base_index, files)
    pointers = await find_pointers(checkout.run_git, {files[path] for path in paths}) if paths else set()
    if contents := [path for path in paths if files[path] not in pointers]:
        raise UncommittableTree(
            "The attributes of the base give these files to Git LFS, of which Stitcher commits pointers only:"
            f" {join_names(contents)}."
        )
