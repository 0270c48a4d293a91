"""The checkouts of jobs: a clone for the agent of each attempt, the commit of its work, and checkouts for gates.

The agent is not trusted: nothing in the `.git` of a work tree is ever read. Stitcher's git has a repository and index
of its own beside the work tree, created anew for each commit. Only a sandbox keeps an agent of the same user away from
them.
"""

import shutil
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from msgspec import Struct, field

from shared.ids import new_id
from stitcherd.git import Git, GitError, UncommittableTree
from stitcherd.git.attributes import attributes_above
from stitcherd.git.base_tree import BaseTree
from stitcherd.git.baseline import BASELINE_FILE, Baseline, read_baseline
from stitcherd.git.clones import run_on_disk, write_full_clone, write_own_repository, write_shared_clone
from stitcherd.git.mirror import Mirror, check_branch_name, safe_file_name
from stitcherd.git.remote import FindCredential, Remote, no_credential
from stitcherd.git.repairs import Repairs
from stitcherd.git.repository_files import IndexFile
from stitcherd.git.snapshot import remove_tree
from stitcherd.git.tree_changes import DiffStat
from stitcherd.processes.private_directory import SharedDirectory, make_private


class UnusableCheckouts(Exception):
    """The checkouts cannot be where the settings say, or not safely; the message says why."""


class Checkouts:
    """The mirrors below a state directory, and the checkouts, by default there too; of one daemon at a time."""

    def __init__(
        self, root: Path, find_credential: FindCredential = no_credential, directory: Path | None = None
    ) -> None:
        """Create the directories that do not exist yet. Raises UnusableCheckouts."""
        self._root = root.absolute()
        self._directory = directory or self._root / "checkouts"
        try:
            make_private(self._directory)
        except (SharedDirectory, OSError) as error:
            reason = f"{self._directory} cannot be used: {getattr(error, 'strerror', None) or error}"
            raise UnusableCheckouts(f"{reason}; see daemon.checkouts in stitcherd.toml") from error
        self._git = Git.with_home(self._root / "git")
        self._find_credential = find_credential
        self._mirrors: dict[str, Mirror] = {}
        self._base_trees: dict[str, BaseTree] = {}

    async def open(
        self,
        job_id: str,
        attempt: int,
        clone: str | None,
        base: str | None,
        branch: str,
        *,
        gate_base: str | None = None,
        ref: str = "",
    ) -> "Checkout":
        """Create the checkout of an attempt: a clone on `branch` at the sha `base`, without remotes.

        `gate_base` is that of `Checkout`, the base itself by default, and `ref` is where the base was found. Without a
        repository the work tree is an empty directory. What a crash left in its place is deleted. Raises GitError.
        """
        directory = self.directory(job_id) / str(attempt)
        await remove_tree(directory)
        directory.mkdir(mode=0o700, parents=True)
        if base is not None:
            await check_branch_name(self._git, branch)
        checkout = self._checkout(directory, clone, base, gate_base, ref)
        for path in (checkout.tmp, checkout.work, checkout.agent_home):
            path.mkdir()
        if checkout.mirror:
            await checkout.repairs.run(partial(checkout.start, branch))
        return checkout

    def reopen(
        self,
        job_id: str,
        attempt: int,
        clone: str | None,
        base: str | None,
        gate_base: str | None = None,
        ref: str = "",
    ) -> "Checkout":
        """Return the checkout that an earlier daemon created for an attempt; see `open`.

        Raises GitError if it is missing.
        """
        checkout = self._checkout(self.directory(job_id) / str(attempt), clone, base, gate_base, ref)
        if not checkout.work.is_dir():
            raise GitError("The checkout is not there any more.")
        checkout.agent_home.mkdir(exist_ok=True)
        checkout.baseline = read_baseline(checkout.directory / BASELINE_FILE)
        return checkout

    def _checkout(
        self, directory: Path, clone: str | None, base: str | None, gate_base: str | None, ref: str
    ) -> "Checkout":
        if clone is None or base is None:
            return Checkout(self._git, directory)
        mirror, gate_base = self.mirror(clone), gate_base or base
        repairs = Repairs(mirror, ref, tuple(dict.fromkeys((base, gate_base))))
        return Checkout(self._git, directory, mirror, base, gate_base, base_trees=self._base_trees, repairs=repairs)

    def directory(self, job_id: str) -> Path:
        """Return the directory of a job: every process below it belongs to the job."""
        return self._directory / job_id

    def move_aside(self, job_id: str) -> str:
        """Rename the directory of a job, which takes no time; return the name under which `remove` deletes it.

        The name is new: what an earlier attempt moved aside may be there still, if the daemon was killed then.
        """
        name = f".done-{new_id()}"
        with suppress(FileNotFoundError):
            self.directory(job_id).rename(self.directory(name))
        return name

    async def remove(self, job_id: str) -> None:
        """Delete the checkouts of all attempts of a job; to be called when nothing of it is running any more."""
        await remove_tree(self.directory(job_id))

    def remote(self, clone: str) -> Remote:
        """Return the repository at `clone`, a path or a URL, with the credential that it is contacted with."""
        return Remote(self._git, clone, self._find_credential)

    def mirror(self, clone: str) -> Mirror:
        """Return the mirror of the repository at `clone`, a path or a URL."""
        if clone not in self._mirrors:
            self._mirrors[clone] = Mirror(self._git, self._root / "mirrors", self.remote(clone))
        return self._mirrors[clone]


class Checkout(Struct, eq=False):
    """The directory of one attempt; without a `mirror` its work tree starts empty, and has no commits.

    The agent's commit is made on `base`, and the files that judge it are those of `gate_base`. These are the same
    commit, unless the base is the head of a change, whose author is not trusted.

    `base_trees` has what is known of bases, for all checkouts, and `baseline` is empty until it is recorded.
    `base_stat` is the index of the work tree as it was filled, None after a restart of the daemon: files that did not
    change since need not be read again. `stats` and `entries` have the sizes of its commits, and their changes as of
    `--raw -z`. All of it is kept in memory, where no agent can change it.
    """

    git: Git
    directory: Path
    mirror: Mirror | None = None
    base: str | None = None
    gate_base: str | None = None
    base_trees: dict[str, BaseTree] = {}
    baseline: Baseline = Baseline()
    base_stat: IndexFile | None = None
    stats: dict[str, DiffStat] = {}
    entries: dict[str, bytes] = {}
    repairs: Repairs = field(default_factory=Repairs)

    @property
    def shared_objects(self) -> tuple[Path, ...]:
        """The directories in which the checkouts for gates find their objects; nothing there may be written."""
        return () if self.mirror is None else (self.mirror.objects, self.repository / "objects")

    @property
    def work(self) -> Path:
        """The agent's work tree."""
        return self.directory / "work"

    @property
    def tmp(self) -> Path:
        """The TMPDIR of the attempt."""
        return self.directory / "tmp"

    @property
    def agent_home(self) -> Path:
        """The HOME of the agent in a sandbox, where programs keep their sessions; it lasts as long as the attempt."""
        return self.directory / "agent"

    @property
    def base_index(self) -> Path:
        """An index for what is read from either base."""
        return self.directory / "index-base"

    async def make_tmp(self, name: str) -> Path:
        """Create a new, empty TMPDIR for a command of the attempt; one of the same name is deleted."""
        path = self.directory / f"tmp-{safe_file_name(name)}"
        await remove_tree(path)
        path.mkdir(mode=0o700)
        return path

    async def start(self, branch: str) -> None:
        """Fill the empty work tree with the base, on a branch of a clone of its own. Raises GitError."""
        await self.renew_repository()
        await self._check_out(self.work, str(self.base))
        self.base_stat = await run_on_disk(IndexFile.read, self._index_of(self.work))
        await self._add_clone(self.work, branch)

    async def check_out(self, name: str, sha: str) -> Path:
        """Create a checkout of a commit, detached, with a `.git` of its own; one of the same name is deleted.

        Raises GitError.
        """
        path = self.directory / safe_file_name(name)
        await remove_tree(path)
        self._index_of(path).unlink(missing_ok=True)
        path.mkdir(mode=0o700)
        await self._check_out(path, sha)
        await self._add_shared_clone(path, sha)
        return path

    async def reset(self, path: Path, sha: str, *, keep_ignored: bool = False) -> None:
        """Reset a checkout to a commit: its files, no others, and a new `.git`. Raises GitError."""
        refuse_links(path)
        await self._check_out(path, sha)
        await self.run_git("clean", "-ffdq" if keep_ignored else "-ffdxq", tree=path, index=self._index_of(path))
        await self._add_shared_clone(path, sha)

    async def restore_from_base(self, path: Path, names: Sequence[str]) -> None:
        """Restore files of a checkout from the gate base, and remove those that it does not have.

        Names are relative to the checkout; `*` matches anything, also `/`; a directory stands for all files below it.
        The `.gitattributes` of each directory above them are restored too, since they decide what git writes.
        Symbolic links on the way are replaced, not followed. Raises GitError, also for a name outside the checkout.
        """
        if not names or self.gate_base is None:
            return
        refuse_links(path)
        specs = [*(f"./{name}" for name in names), *attributes_above(names)]
        index = self.base_index
        index.unlink(missing_ok=True)
        await self._remove_own_attributes()
        # With an empty index all is untracked, and removed: git then reads the attributes from that index.
        await self.run_git("clean", "-ffdxq", "--", *specs, tree=path, index=index)
        await self.run_git("read-tree", self.gate_base, index=index)
        known = await self.run_git("ls-files", "-z", "--", *specs, tree=path, index=index)
        await self.run_git("checkout-index", "-f", "-z", "--stdin", tree=path, index=index, stdin=known)

    async def remove(self) -> None:
        """Delete the whole directory of the attempt; to be called when nothing of it is running any more."""
        await remove_tree(self.directory)
        with suppress(OSError):
            self.directory.parent.rmdir()

    async def run_git(
        self,
        *words: str,
        tree: Path | None = None,
        index: Path | None = None,
        stdin: bytes = b"",
        author: str = "Stitcher",
    ) -> bytes:
        """Run git on Stitcher's own repository of the attempt, and return its stdout. Raises GitError."""
        if self.base is None:
            raise GitError("The job has no repository.")
        index = index or self.directory / "index"
        run = partial(self.git, *words, repository=self.repository, tree=tree, index=index, stdin=stdin, author=author)
        return await self.repairs.run(run)

    @property
    def repository(self) -> Path:
        """Stitcher's own repository of the attempt."""
        return self.directory / "stitcher.git"

    def _index_of(self, path: Path) -> Path:
        return self.directory / f"index-{path.name}"

    async def renew_repository(self) -> None:
        """Create Stitcher's own repository of the attempt anew, without what anybody changed in it. Raises GitError."""
        mirror, base = self._mirror_and_base()
        await remove_tree(self.repository)
        await write_own_repository(self.repository, mirror, base)

    async def _remove_own_attributes(self) -> None:
        """Remove attributes from Stitcher's repository, where it never has any, but a gate without a sandbox can."""
        await remove_tree(self.repository / "info")

    async def _check_out(self, path: Path, sha: str) -> None:
        await self._remove_own_attributes()
        await self.run_git("read-tree", "--reset", "-u", sha, tree=path, index=self._index_of(path))

    async def _replace_repository(self, path: Path, write: Callable[[Path], Awaitable[None]]) -> None:
        """Give a checkout a new `.git`, which `write` writes at a path."""
        spare = self.directory / "spare"
        await remove_tree(spare)
        await self.repairs.run(partial(write, spare))
        await run_on_disk(shutil.copyfile, self._index_of(path), spare / "index")
        await remove_tree(path / ".git")
        spare.rename(path / ".git")

    async def _add_clone(self, path: Path, branch: str) -> None:
        """Give a work tree a `.git` of its own, on a branch at the base."""
        mirror, base = self._mirror_and_base()
        await self._replace_repository(path, lambda spare: write_full_clone(spare, mirror, base, branch))

    async def _add_shared_clone(self, path: Path, sha: str) -> None:
        """Give a checkout a new `.git`, detached at a commit."""
        mirror, _base = self._mirror_and_base()
        await self._replace_repository(path, lambda spare: write_shared_clone(spare, mirror, sha, self.shared_objects))

    def _mirror_and_base(self) -> tuple[Mirror, str]:
        if self.mirror is None or self.base is None:
            raise GitError("The job has no repository.")
        return self.mirror, self.base


def refuse_links(*paths: Path) -> None:
    """Raise UncommittableTree where a path is a symbolic link: what an agent puts in its place is not followed."""
    for path in paths:
        if path.is_symlink():
            raise UncommittableTree(f"{path.name} was replaced by a symbolic link, which is not followed.")
