"""Tests that files from the base are what the base makes of them, whatever attributes the commit has."""

from pathlib import Path

import pytest

from stitcherd.git import GitError
from stitcherd.git.attributes import attributes_above
from stitcherd.git.checkout import Checkout, Checkouts
from stitcherd.git.work_tree import commit_work_tree
from tests.stitcherd.git.repositories import BRANCH, commit, git, write

ID = "$Id$\n"
FILES = {"check.sh": f"test ! -e broken\n# {ID}", "ci/lib/run.sh": f"exit 1\n# {ID}", "ci/words.txt": "bad\n"}
CONVERSIONS = ["text eol=crlf", "working-tree-encoding=UTF-16", "ident", "text eol=crlf ident"]
PLACES = [".gitattributes", "ci/.gitattributes", "ci/lib/.gitattributes"]


def test_the_directories_above_a_name_are_named() -> None:
    assert attributes_above(["a", "b/c/d"]) == ["./.gitattributes", "./b/c/.gitattributes", "./b/.gitattributes"]
    assert attributes_above(["b/*.py"])[0] == "./.gitattributes"
    assert attributes_above(["b/*.py"])[1:] == ["./b/.gitattributes", ":(glob)b/**/.gitattributes"]


@pytest.fixture
async def checkout(checkouts: Checkouts, origin: Path) -> Checkout:
    base = commit(origin, FILES)
    await checkouts.mirror(str(origin)).fetch()
    return await checkouts.open("job", 1, str(origin), base, BRANCH)


async def gate_checkout(checkout: Checkout) -> Path:
    sha = await commit_work_tree(checkout, "x")
    assert sha
    return await checkout.check_out("gate", sha)


def found(path: Path) -> dict[str, str]:
    return {name: (path / name).read_bytes().decode("latin-1") for name in FILES}


@pytest.mark.parametrize("conversion", CONVERSIONS)
@pytest.mark.parametrize("place", PLACES)
async def test_attributes_that_the_agent_adds_do_not_convert_files_of_the_base(
    checkout: Checkout, place: str, conversion: str
) -> None:
    write(checkout.work, {"made.md": "x\n"})
    sha = await commit_work_tree(checkout, "x")
    assert sha
    path = await checkout.check_out("gate", sha)
    write(path, {place: f"*.sh {conversion}\n*.txt {conversion}\n"})
    for named in (list(FILES), ["check.sh", "ci"], ["*.sh", "*.txt"], ["check.sh", "ci/*"]):
        await checkout.restore_from_base(path, named)
        assert found(path) == FILES
        assert not (path / place).exists()
        write(path, {place: f"*.sh {conversion}\n*.txt {conversion}\n"})


async def test_attributes_in_the_commit_do_not_convert_files_of_the_base(checkout: Checkout) -> None:
    write(checkout.work, dict.fromkeys(PLACES, "* text eol=crlf ident\n") | {"new/.gitattributes": "* -text\n"})
    path = await gate_checkout(checkout)
    assert "\r" in found(path)["check.sh"]
    await checkout.restore_from_base(path, ["check.sh", "ci/lib/run.sh"])
    assert found(path) == {**FILES, "ci/words.txt": "bad\r\n"}, "what is not named stays as the commit has it"
    assert [(path / place).exists() for place in PLACES] == [False] * 3
    assert (path / "new/.gitattributes").exists()


async def test_attributes_of_the_base_are_in_force_again(checkouts: Checkouts, origin: Path) -> None:
    base = commit(origin, {**FILES, ".gitattributes": "*.sh text eol=crlf\n", "ci/.gitattributes": "*.txt ident\n"})
    await checkouts.mirror(str(origin)).fetch()
    checkout = await checkouts.open("job", 1, str(origin), base, BRANCH)
    write(checkout.work, {".gitattributes": "*.sh -text\n", "ci/lib/.gitattributes": "*.sh text eol=lf\n"})
    (checkout.work / "ci/.gitattributes").unlink()
    path = await gate_checkout(checkout)
    await checkout.restore_from_base(path, ["check.sh", "ci/lib"])
    assert found(path)["check.sh"] == FILES["check.sh"].replace("\n", "\r\n")
    assert found(path)["ci/lib/run.sh"] == FILES["ci/lib/run.sh"].replace("\n", "\r\n")
    assert (path / ".gitattributes").read_text() == "*.sh text eol=crlf\n"
    assert (path / "ci/.gitattributes").read_text() == "*.txt ident\n"
    assert not (path / "ci/lib/.gitattributes").exists()


async def test_attributes_that_are_a_link_or_a_directory_are_replaced(checkout: Checkout, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    write(outside, {".gitattributes": "* text eol=crlf\n", "run.sh": "outside\n"})
    write(checkout.work, {".gitattributes/x": "y"})
    (checkout.work / "ci/lib/run.sh").unlink()
    (checkout.work / "ci/lib").rmdir()
    (checkout.work / "ci/lib").symlink_to(outside)
    path = await gate_checkout(checkout)
    await checkout.restore_from_base(path, ["check.sh", "ci/lib/run.sh"])
    assert found(path) == FILES
    assert not (path / ".gitattributes").exists()
    assert {file.name: file.read_text() for file in outside.iterdir()} == {
        ".gitattributes": "* text eol=crlf\n",
        "run.sh": "outside\n",
    }


async def test_attributes_in_a_git_directory_do_not_matter(checkout: Checkout) -> None:
    write(checkout.work, {"made.md": "x\n"})
    for place in (checkout.work / ".git", checkout.directory / "stitcher.git"):
        write(place, {"info/attributes": "* text eol=crlf ident\n"})
    path = await gate_checkout(checkout)
    assert found(path) == FILES
    write(path, {".git/info/attributes": "* text eol=crlf ident\n"})
    write(checkout.directory, {"stitcher.git/info/attributes": "* text eol=crlf ident\n"})
    await checkout.restore_from_base(path, list(FILES))
    assert found(path) == FILES


async def test_a_name_outside_the_checkout_is_refused(checkout: Checkout) -> None:
    path = await gate_checkout_of_base(checkout)
    for name in ("../work/a.txt", "ci/../../x", "../*"):
        with pytest.raises(GitError, match="outside repository"):
            await checkout.restore_from_base(path, [name])
    git(path, "status")


async def gate_checkout_of_base(checkout: Checkout) -> Path:
    return await checkout.check_out("gate", str(checkout.base))
