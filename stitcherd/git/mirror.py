"""Stitcher's bare mirror of a repository: updates it, fetches single refs, and resolves branches and tags.

A mirror is a cache: whatever is wrong with it, a new clone of the repository replaces it.
"""

import asyncio
import contextlib
import hashlib
import logging
import os
import re
from collections.abc import Collection
from pathlib import Path
from urllib.parse import quote

from stitcherd.git import Git, GitError, GitFailed
from stitcherd.git.history import History
from stitcherd.git.refs import BRANCHES, MirrorRefs, read_refs
from stitcherd.git.remote import Remote, RemoteUnreachable
from stitcherd.git.snapshot import remove_tree
from stitcherd.processes import end_all

ON_DEMAND = "refs/stitcher/"  # where a mirror keeps refs that are neither branches nor tags
FULL_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
ORDINARY_NAME = re.compile(r"[A-Za-z0-9_]+([/-][A-Za-z0-9_]+)*")
FETCH_TIMEOUT_SECONDS, CLONE_TIMEOUT_SECONDS = 900.0, 3600.0
PACKS_MAX, LOOSE_OBJECTS_MAX = 50, 6700  # as in gc.autoPackLimit and gc.auto of git

PROMISOR_SETTINGS = r"^(remote\..*\.promisor|extensions\.partialclone)$"  # only a partial clone has one
PARTIAL_CLONE = (
    "{clone} is a partial clone, without all the files of its commits, and cannot be cloned: complete it with"
    " `git fetch --refetch --no-filter`, or name a full clone in clone of stitcherd.toml."
)

log = logging.getLogger(__name__)
HINT_TIMEOUT_SECONDS = 30.0


class Mirror:
    """The mirror of a repository; hold `lock` while copying its objects."""

    def __init__(self, git: Git, root: Path, remote: Remote) -> None:
        clone = remote.clone
        parts = re.split(r"[/:]", clone.rstrip("/").removesuffix(".git").rpartition("@")[2])
        name = f"{safe_file_name('-'.join(parts[-2:]))}-{hashlib.sha256(clone.encode()).hexdigest()[:16]}"
        self.path = root / f"{name}.git"
        self.lock = asyncio.Lock()
        self.history = History(git, self.path)
        self.times_cloned = 0  # by this daemon
        self.clone = clone
        self._git = git
        self._remote = remote
        self._is_clean = False
        self._refs: MirrorRefs | None = None  # as of the last fetch, once they were asked for
        self._changes = 0  # of the refs, by this daemon

    @property
    def objects(self) -> Path:
        """The directory of its objects."""
        return self.path / "objects"

    async def fetch(self) -> str:
        """Update all branches and tags, and nothing else, from the repository; return a note for the log of the job.

        A mirror that cannot be updated, although the repository answers, is cloned anew. Raises GitError, and of these
        RemoteUnreachable during an outage.
        """
        async with self.lock:
            try:
                return await self._update()
            except GitError as error:
                if await self._lacks_objects(error):
                    raise GitError(PARTIAL_CLONE.format(clone=self.clone), error.output) from error
                raise self._outage(error) from error

    async def _update(self) -> str:
        if not self._is_clean:
            await self._clean_up()
        if not self.path.exists():
            await self._clone()
            return ""
        try:
            await self._fetch("--prune", "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
        except GitError as error:
            return await self._replace(error)
        finally:
            self._forget_refs()
        await self._repack()
        return ""

    async def _fetch(self, pruning: str, *specs: str) -> None:
        words = ("fetch", "-q", pruning, "--no-tags")
        await self._remote.run(*words, arguments=specs, repository=self.path, timeout=FETCH_TIMEOUT_SECONDS)

    def _outage(self, error: GitError) -> GitError:
        return RemoteUnreachable(str(error), error.output) if self._remote.is_away(error) else error

    async def _lacks_objects(self, error: GitError) -> bool:
        """Say whether git failed because the repository is a partial clone; git itself takes it for a damaged one."""
        if "promisor remote" in error.output:
            return True
        place = Path(self.clone.removeprefix("file://"))
        if "repository corruption" not in error.output or not place.is_dir():
            return False
        with contextlib.suppress(GitFailed):  # where there is no such setting, or what is there cannot be read
            await self._git("config", "--get-regexp", PROMISOR_SETTINGS, cwd=place)
            return True
        return False

    async def fetch_ref(self, ref: str) -> str | None:
        """Update one ref that is neither a branch nor a tag; return its sha, None if the repository does not have it.

        Like all refs of its kind it is not among the branches of the mirror, and no clone of it gets the ref. Raises
        GitError.
        """
        await self._git("check-ref-format", ref)
        try:
            async with self.lock:
                return await self._update_ref(ref)
        except GitError as error:
            raise self._outage(error) from error

    async def _update_ref(self, ref: str) -> str | None:
        if not await self._remote.find_ref(ref):
            return None
        name = f"{ON_DEMAND}{quote(ref, safe='')}"  # one component: no ref excludes another one
        try:
            await self._fetch("--no-prune", f"+{ref}:{name}")
        except GitError as error:
            await self._replace(error)
            await self._fetch("--no-prune", f"+{ref}:{name}")
        found = await self._git("rev-parse", "--verify", "-q", f"{name}^{{commit}}", repository=self.path)
        return found.decode().strip()

    async def repair(self, error: GitFailed, commits: Collection[str], times_cloned: int) -> str:
        """Clone the mirror anew if it is damaged; return a note for the log of the job that failed with `error`.

        `commits` are those whose files the job needs, and `times_cloned` is from before it read the mirror: one that
        was cloned since is not cloned again. Raises `error` where the mirror is whole, and where the repository does
        not answer or cannot be cloned.
        """
        async with self.lock:
            if self.times_cloned != times_cloned:
                return ""
            if not await self._is_damaged(commits):
                raise error
            return await self._replace(error)

    async def _is_damaged(self, commits: Collection[str]) -> bool:
        """Say whether the refs, the history or the files of some commits cannot be read.

        No message counts here: it may have the name of a file in it, which an agent chose.
        """
        try:
            await read_refs(self._git, self.path)
            await self.history.check()
            for commit in commits:
                await self.history.check_files(commit)
        except GitFailed as error:  # without a code it took too long, or there was no memory for it
            return error.code is not None or not self.path.is_dir()
        return False

    async def _replace(self, error: GitError) -> str:
        try:
            await self._remote.run("ls-remote", "-q", arguments=("HEAD",))
            await self._clone()
        except GitError:
            raise error from None
        note = f"the mirror {self.path.name} was damaged and has been cloned anew: {error}\n"
        log.warning("%s", note.strip())
        return note

    async def _clone(self) -> None:
        """Clone the repository beside the mirror, and put the clone in its place."""
        spare, old = self.path.with_suffix(".new"), self.path.with_suffix(".old")
        for left in (spare, old):
            await remove_tree(left)
        spare.mkdir(mode=0o700, parents=True)
        words = ("clone", "-q", "--bare", "--no-local", "--template=")
        try:
            await self._remote.run(*words, arguments=(str(spare),), cwd=spare, timeout=CLONE_TIMEOUT_SECONDS)
        except GitError:
            await remove_tree(spare)
            raise
        if self.path.exists():
            self.path.rename(old)
        spare.rename(self.path)
        self._forget_refs()
        self.times_cloned += 1
        await remove_tree(old)

    async def _repack(self) -> None:
        """Combine the many small packs and loose objects that fetches leave; unreachable ones are kept for jobs."""
        objects = self.path / "objects"
        sample = objects / "17"  # each of the 256 directories has about as many, as git itself assumes
        loose = len(list(sample.iterdir())) if sample.is_dir() else 0
        if loose * 256 <= LOOSE_OBJECTS_MAX and len(list(objects.glob("pack/*.pack"))) <= PACKS_MAX:
            return
        try:
            await self._git("repack", "-a", "-d", "-k", "-q", repository=self.path, timeout=FETCH_TIMEOUT_SECONDS)
        except GitError as error:  # the mirror is as usable as before
            log.warning("the mirror %s cannot be repacked: %s", self.path.name, error)

    async def refs(self) -> MirrorRefs:
        """Return its branches and tags, as of the last fetch. Raises GitError."""
        if self._refs is not None:
            return self._refs
        changes = self._changes
        refs = await read_refs(self._git, self.path)
        if changes == self._changes:
            self._refs = refs
        return refs

    def _forget_refs(self) -> None:
        self._refs = None
        self._changes += 1

    async def resolve(self, ref: str) -> str:
        """Return the sha of a branch, a tag or a full sha, as of the last fetch; a branch takes precedence.

        Raises GitError.
        """
        if FULL_SHA.fullmatch(ref):
            names = [ref]
        else:
            await check_branch_name(self._git, ref)
            is_full = ref.startswith(("refs/heads/", "refs/tags/"))
            names = [ref] if is_full else [f"refs/heads/{ref}", f"refs/tags/{ref}"]
        for name in names if self.path.exists() else ():
            if name.startswith(BRANCHES):  # git lets a branch be nothing but a commit
                sha = (await self.refs()).shas.get(name)
            else:
                sha = await self.history.find_commit(name)
            if sha is not None:
                return sha
        raise GitError(f"There is no branch or tag {ref!r} in {self.clone}{await self._default_branch_hint()}.")

    async def contains(self, branch: str, sha: str) -> bool:
        """Say whether a branch is at a commit or at a descendant of it, as of the last fetch. Raises GitError."""
        head = (await self.refs()).shas.get(f"{BRANCHES}{branch}")
        return head is not None and await self.history.is_ancestor(sha, head)

    async def _default_branch_hint(self) -> str:
        """Return what the repository says of its default branch now, as the end of a sentence."""
        wanted = ("HEAD", "refs/heads/*")
        try:
            answer = await self._remote.run("ls-remote", "--symref", arguments=wanted, timeout=HINT_TIMEOUT_SECONDS)
        except GitError:
            return ""
        if not answer:
            return ": it has no commits yet"
        found = re.match(rb"ref: refs/heads/(\S+)\tHEAD", answer)
        return f"; its default branch is {os.fsdecode(found[1])!r} (see base in stitcherd.toml)" if found else ""

    async def _clean_up(self) -> None:
        """End what an earlier daemon's git may still run here, and remove the locks of one that was killed.

        Our own git may read the mirror meanwhile, for a job that was resumed or one that publishes.
        """
        for place in (self.path, self.path.with_suffix(".new")):
            await end_all("none: a mirror belongs to no job", place, without_descendants=True)
        for lock in (*self.path.glob("*.lock"), *(self.path / "refs").rglob("*.lock")):
            lock.unlink()
        self._is_clean = True


def is_on_demand(ref: str) -> bool:
    """Say whether a ref is fetched only when it is asked for: a full one of neither a branch nor a tag."""
    return ref.startswith("refs/") and not ref.startswith(("refs/heads/", "refs/tags/"))


async def check_branch_name(git: Git, name: str) -> None:
    """Raise GitError for what cannot be the name of a branch, or could be taken for an option."""
    if ORDINARY_NAME.fullmatch(name):
        return  # what nearly every branch is called needs no process to check it
    if name.startswith("-"):
        raise GitError(f"{name!r} is not accepted as a branch: it starts with a dash.")
    try:
        await git("check-ref-format", f"refs/heads/{name}")
    except GitFailed as error:
        if error.code is None:
            raise
        raise GitError(f"{name!r} is not a name that a branch can have.") from error


def safe_file_name(name: str) -> str:
    """Return a readable file name for any text; two texts may have the same one."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip(".-")[-60:] or "unnamed"
