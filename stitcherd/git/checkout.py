"""A job's own clone, what the agent made of it as Stitcher sees it, and fresh checkouts for the gates.

The agent is not trusted: nothing in a work tree's `.git` is ever read. Stitcher's git has a repository and index of
its own beside the work tree, made anew for each commit. Only a sandbox keeps an agent of the same user out of them.
"""

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from stitcherd.git import Git, GitError
from stitcherd.git.mirror import Mirror, check_branch_name, safe_file_name
from stitcherd.git.snapshot import remove_tree

# merged from stitcherd.git.checkouts: All mirrors and all checkouts below the state directory: who opens an
# attempt's, and who clears them away.

SUBMODULE_MODE = b"160000"


class DiffStat(Struct, frozen=True):
    """The size of a change in files and lines; a binary file is a file without lines."""

    files: int
    additions: int
    deletions: int


class CommitPatch(Struct, frozen=True):
    """A change as git writes it, without renames: `entries` as of `--raw -z`, `file` as of `-p -U0`, in the same order.

    The file may be of any size, and stands until the next patch of the checkout.
    """

    entries: bytes
    file: Path


class Checkout(Struct, frozen=True):
    """The directory of one attempt; without a `mirror` its work tree is an empty directory and has no commits."""

    git: Git
    directory: Path
    mirror: Mirror | None = None
    base: str | None = None

    @property
    def work(self) -> Path:
        """The agent's work tree."""
        return self.directory / "work"

    @property
    def tmp(self) -> Path:
        """The TMPDIR of the attempt."""
        return self.directory / "tmp"

    async def scratch(self, name: str) -> Path:
        """Return a new, empty TMPDIR for one of the attempt's commands; one of the same name goes."""
        path = self.directory / f"tmp-{safe_file_name(name)}"
        await remove_tree(path)
        path.mkdir(mode=0o700)
        return path

    async def start(self, branch: str) -> None:
        """Fill the empty work tree with the base, on a branch of its own clone. Raises GitFailed."""
        await self._renew()
        await self._fill(self.work, str(self.base))
        await self._give_repository(self.work, str(self.base), branch)

    async def commit(self, message: str, author: str = "Stitcher") -> str | None:
        """Commit the work tree, squashed onto the base, and return the sha; None when it equals the base.

        Submodules stay as the base has them. A repository inside the tree is refused, since its files would be
        lost. Raises GitFailed.
        """
        if self.mirror is None or self.base is None:
            return None
        _refuse_links(self.work, self.work / ".git")
        await self._renew()
        (self.directory / "index").unlink(missing_ok=True)
        await self._own("read-tree", self.base)
        submodules = await self._submodules()
        # For a submodule `git add` would run `git status` inside it, under the configuration found there.
        skip = ("update-index", "--skip-worktree", "-z", "--stdin")
        await self._own(*skip, tree=self.work, stdin=b"\0".join(submodules))
        await self._own("add", "-A", "--", ".", tree=self.work)
        if planted := await self._submodules() - submodules:
            names = ", ".join(sorted(name.decode(errors="replace") for name in planted))
            raise GitError(f"The tree holds git repositories of its own, which cannot be committed: {names}.")
        tree = await self._own("write-tree")
        if tree == await self._own("rev-parse", f"{self.base}^{{tree}}"):
            return None
        words = ("commit-tree", "-p", self.base, "-F", "-", tree.decode().strip())
        made = await self._own(*words, stdin=message.encode(errors="replace"), author=author)
        return made.decode().strip()

    async def fresh(self, name: str, sha: str) -> Path:
        """Return a new checkout of a commit, detached, with a `.git` of its own; one of the same name goes."""
        path = self.directory / f"gate-{safe_file_name(name)}"
        await remove_tree(path)
        self._index_of(path).unlink(missing_ok=True)
        path.mkdir(mode=0o700)
        await self.reset(path, sha)
        return path

    async def reset(self, path: Path, sha: str, *, ignored_stay: bool = False) -> None:
        """Bring a checkout back to a commit: tracked files, no others, a new `.git`. Raises GitFailed."""
        _refuse_links(path)
        await self._fill(path, sha)
        await self._own("clean", "-ffdq" if ignored_stay else "-ffdxq", tree=path, index=self._index_of(path))
        await self._give_repository(path, sha)

    async def restore_from_base(self, path: Path, names: Sequence[str]) -> None:
        """Put files of a checkout back as the base has them, and remove those that it lacks.

        Names are relative to the checkout; `*` matches anything, `/` too; a directory means all below it. Links on
        the way are replaced, not followed. Raises GitFailed, also for a name outside the checkout.
        """
        if not names or self.base is None:
            return
        _refuse_links(path)
        index = self.directory / "index-base"
        specs = [f"./{name}" for name in names]
        await self._own("read-tree", self.base, index=index)
        await self._own("clean", "-ffdxq", "--", *specs, tree=path, index=index)
        known = await self._own("ls-files", "-z", "--", *specs, tree=path, index=index)
        await self._own("checkout-index", "-f", "-z", "--stdin", tree=path, index=index, stdin=known)

    async def diff(self, sha: str) -> DiffStat:
        """Return the size of the change from the base to a commit; a renamed file counts once."""
        words = ("diff-tree", "-r", "-M", "--numstat", "-z", "--no-ext-diff", "--no-textconv", str(self.base), sha)
        fields = iter((await self._own(*words)).split(b"\0")[:-1])
        files = additions = deletions = 0
        for field in fields:
            added, removed, name = field.split(b"\t", 2)
            if not name:  # renamed: the old and the new name follow as fields of their own
                next(fields)
                next(fields)
            files += 1
            additions += int(added) if added != b"-" else 0
            deletions += int(removed) if removed != b"-" else 0
        return DiffStat(files, additions, deletions)

    async def patch(self, sha: str) -> CommitPatch:
        """Return the change from the base to a commit; every file is shown as text, whatever its attributes say.

        Raises GitFailed.
        """
        file = self.directory / "diff.patch"
        file.unlink(missing_ok=True)  # a link in its place would be followed
        words = ("diff-tree", "-r", "--no-renames", "--no-ext-diff", "--no-textconv", "--submodule=short")
        ends = (str(self.base), sha)
        entries = await self._own(*words, "--raw", "-z", *ends)
        await self._own(*words, "-p", "-U0", "--text", f"--output={file}", *ends)
        return CommitPatch(entries, file)

    async def shown(self, sha: str) -> Path:
        """Return the change from the base to a commit as people read it, in a file that stands until the next one.

        What is text is said by its content: no .gitattributes of the change is heeded. Raises GitFailed.
        """
        file = self.directory / "shown.diff"
        file.unlink(missing_ok=True)  # as in patch
        words = ("diff-tree", "-r", "-M", "--stat=100", "-p", "--no-ext-diff", "--no-textconv", "--submodule=short")
        await self._own(*words, f"--output={file}", str(self.base), sha)
        return file

    async def publish(self, sha: str, clone: str, branch: str) -> None:
        """Put a commit, and nothing else, on a branch of the repository at the path `clone`, whatever was there.

        The hooks of that repository run, as they do for every push. Raises GitFailed.
        """
        await check_branch_name(self.git, branch)
        refspec = f"+{sha}:refs/heads/{branch}"
        await self._own("push", "-q", "--no-verify", "--no-signed", "--", clone, refspec, protocols="file")

    async def remove(self) -> None:
        """Delete everything of the attempt; to be called when nothing of it runs any more."""
        await remove_tree(self.directory)
        with suppress(OSError):
            self.directory.parent.rmdir()

    @property
    def _repository(self) -> Path:
        return self.directory / "stitcher.git"

    def _index_of(self, path: Path) -> Path:
        return self.directory / f"index-{path.name}"

    async def _own(
        self,
        *words: str,
        tree: Path | None = None,
        index: Path | None = None,
        stdin: bytes = b"",
        author: str = "Stitcher",
        protocols: str | None = None,
    ) -> bytes:
        if self.base is None:
            raise GitError("The job has no repository.")
        return await self.git(
            *words,
            repository=self._repository,
            tree=tree,
            index=index or self.directory / "index",
            stdin=stdin,
            author=author,
            protocols=protocols,
        )

    async def _clone(self, path: Path, *how: str) -> None:
        await remove_tree(path)
        if self.mirror is None:
            raise GitError("The job has no repository.")
        async with self.mirror.lock:
            await self.git("clone", "-q", *how, "--template=", "--", str(self.mirror.path), str(path))

    async def _renew(self) -> None:
        await self._clone(self._repository, "--bare", "--shared")

    async def _fill(self, path: Path, sha: str) -> None:
        await self._own("read-tree", "--reset", "-u", sha, tree=path, index=self._index_of(path))

    async def _submodules(self) -> set[bytes]:
        entries = (await self._own("ls-files", "--stage", "-z")).split(b"\0")
        return {entry.split(b"\t", 1)[1] for entry in entries if entry.startswith(SUBMODULE_MODE)}

    async def _give_repository(self, path: Path, sha: str, branch: str | None = None) -> None:
        spare = self.directory / "spare"
        # Copied whole: neither hard links nor alternates lead from an agent's objects into the mirror's.
        await self._clone(spare, "--no-checkout", "--no-hardlinks")
        repository = spare / ".git"
        await self.git("remote", "remove", "origin", repository=repository)
        if sha != self.base:
            await self.git("fetch", "-q", "--no-tags", "--", str(self._repository), sha, repository=repository)
        if branch:
            await self.git("update-ref", f"refs/heads/{branch}", sha, repository=repository)
            await self.git("symbolic-ref", "HEAD", f"refs/heads/{branch}", repository=repository)
        else:
            await self.git("update-ref", "--no-deref", "HEAD", sha, repository=repository)
        shutil.copyfile(self._index_of(path), repository / "index")
        await remove_tree(path / ".git")
        repository.rename(path / ".git")
        spare.rmdir()


def _refuse_links(*paths: Path) -> None:
    for path in paths:
        if path.is_symlink():
            raise GitError(f"{path.name} was replaced by a symbolic link, which is not followed.")


class Checkouts:
    """The two directories of this name, which only one daemon may hold at a time."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._git = Git.at(self._root / "git")
        self._mirrors: dict[str, Mirror] = {}

    async def fetch(self, clone: str) -> None:
        """Make or update the mirror of the repository at `clone`, a path or a URL. Raises GitFailed."""
        await self._mirror(clone).fetch()

    async def pin(self, clone: str, ref: str) -> str:
        """Return the sha that a branch, a tag or a whole sha stood for at the last fetch. Raises GitFailed."""
        return await self._mirror(clone).pin(ref)

    async def open(self, job_id: str, attempt: int, clone: str | None, base: str | None, branch: str) -> Checkout:
        """Return the new checkout of an attempt: an own clone on `branch` at the sha `base`, without remotes.

        Without a repository its work tree is an empty directory. What a crash left in its place is deleted.
        Raises GitFailed.
        """
        directory = self.directory(job_id) / str(attempt)
        await remove_tree(directory)
        directory.mkdir(mode=0o700, parents=True)
        if clone is None or base is None:
            checkout = Checkout(self._git, directory)
        else:
            await check_branch_name(self._git, branch)
            checkout = Checkout(self._git, directory, self._mirror(clone), base)
        checkout.tmp.mkdir()
        checkout.work.mkdir()
        if checkout.mirror:
            await checkout.start(branch)
        return checkout

    def left(self, job_id: str, attempt: int, clone: str | None, base: str | None) -> Checkout:
        """Return the checkout that an earlier daemon opened for an attempt; raises GitFailed where it is not there."""
        checkout = Checkout(
            self._git,
            self.directory(job_id) / str(attempt),
            None if clone is None or base is None else self._mirror(clone),
            None if clone is None else base,
        )
        if not checkout.work.is_dir():
            raise GitError("The checkout is not there any more.")
        return checkout

    def directory(self, job_id: str) -> Path:
        """Return the job's own directory: whatever runs below it is the job's."""
        return self._root / "checkouts" / job_id

    def move_aside(self, job_id: str) -> str:
        """Move the checkouts of a job out of sight, at once, and return the name under which `remove` deletes them."""
        name = f".done-{job_id}"
        with suppress(FileNotFoundError):
            self.directory(job_id).rename(self.directory(name))
        return name

    async def remove(self, job_id: str) -> None:
        """Delete the checkouts of all attempts of a job; to be called when nothing of it runs any more."""
        await remove_tree(self.directory(job_id))

    def _mirror(self, clone: str) -> Mirror:
        if clone not in self._mirrors:
            self._mirrors[clone] = Mirror(self._git, self._root / "mirrors", clone)
        return self._mirrors[clone]
