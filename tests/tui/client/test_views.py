"""Saved views: their file, and `@name` in filters."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tui import documents
from tests.tui.fake_api import FakeApi
from tui.client.views import DEFAULT_VIEWS, VIEWS_FILE, ViewError, expand_views, load_views, save_views

VIEWS = {"mine": "repo:octo-org/* -state:failed", "stuck": "is:stuck"}


def test_without_a_file_the_default_views_exist(tmp_path: Path) -> None:
    assert load_views(tmp_path) == DEFAULT_VIEWS


@given(st.dictionaries(st.from_regex(r"[a-z0-9][a-z0-9_-]{0,19}", fullmatch=True), st.text(), max_size=5))
def test_saved_views_are_loaded_in_their_order(tmp_path_factory: pytest.TempPathFactory, views: dict[str, str]) -> None:
    views = {name: "".join(c for c in text if c.isprintable()) for name, text in views.items()}
    config = tmp_path_factory.mktemp("c") / "not" / "there"
    save_views(config, views)
    assert list(load_views(config).items()) == list(views.items())
    assert [path.name for path in config.iterdir()] == [VIEWS_FILE]


@pytest.mark.parametrize("text", ["mine = 3\n", 'Mine = "x"\n', "mine =\n", "\udcff"])
def test_an_invalid_file_is_named_in_the_error(tmp_path: Path, text: str) -> None:
    (tmp_path / VIEWS_FILE).write_text(text, "utf-8", errors="surrogateescape")
    with pytest.raises(ViewError, match=VIEWS_FILE):
        load_views(tmp_path)


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("@mine", "repo:octo-org/* -state:failed"),
        ("age:<2h @stuck type:fix", "age:<2h is:stuck type:fix"),
        ('"@stuck" a@stuck', '"@stuck" a@stuck'),
        (r'"a \" @stuck" @stuck', r'"a \" @stuck" is:stuck'),
        ("", ""),
    ],
)
def test_expand_views(text: str, expanded: str) -> None:
    assert expand_views(text, VIEWS) == expanded


def test_an_unknown_view_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(ViewError, match=r"@nosuch \(there are: @mine, @stuck\)"):
        expand_views("@nosuch", VIEWS)


def test_verbs_expand_views(api: FakeApi, stitcher: Callable[..., Any], tmp_path: Path) -> None:
    save_views(tmp_path, VIEWS)
    api.answers["GET /runner-jobs"] = (200, {"items": [documents.job()], "next": None, "cursor": 1, "counts": {}})
    api.answers["POST /runner-jobs/bulk"] = (200, {"matched": 0, "items": []})
    assert stitcher("ls", "--config", str(tmp_path), "@stuck", "type:fix")[0] == 0
    assert api.requests[-1][0] == "GET /runner-jobs?q=is%3Astuck+type%3Afix"
    assert stitcher("cancel", "--config", str(tmp_path), "--dry-run", "--filter", "@stuck x")[0] == 0
    assert api.requests[-1][1]["q"] == "is:stuck x"
    for argv in (("ls", "@no"), ("retry", "--yes", "--filter", "@no")):
        code, _, stderr = stitcher(*argv, "--config", str(tmp_path))
        assert (code, "there is no view @no" in stderr) == (2, True)
