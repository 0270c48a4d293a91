"""Jobs are found by the end of their ids."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.ids import new_id
from shared.models import Decision
from stitcherd.errors import Refusal
from stitcherd.store import jobs, rows
from stitcherd.store.store import Store
from tests.stitcherd.store.factories import dispatch

Make = Callable[..., Any]
ID_PREFIX = "019a0000-0000-7000-8000-"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        (f"{ID_PREFIX}aaaa11112222", "aaaa11112222"),
        ("11112222", "aaaa11112222"),
        ("112222", "aaaa11112222"),
        ("AAAA11112222", "aaaa11112222"),
        ("8000-aaaa11112222", "aaaa11112222"),
        ("0-bbbb33334444", "bbbb33334444"),
    ],
)
async def test_a_job_is_found_by_the_end_of_its_id(
    store: Store, new_job: Make, allowed: Decision, name: str, found: str
) -> None:
    for tail in ("aaaa11112222", "bbbb33334444", "cccc33334444"):
        await dispatch(store, new_job(id=ID_PREFIX + tail), allowed)
    async with store.reading() as db:
        assert (await jobs.get_job(db, name, None)).id == ID_PREFIX + found
        assert (await jobs.get_job(db, name, "default")).id == ID_PREFIX + found
        with pytest.raises(Refusal) as refused:
            await jobs.get_job(db, name, "lab")
    assert refused.value.code == "not_found"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("12222", "not_found"),
        ("", "not_found"),
        ("33334444", "ambiguous_id"),
        ("9000-aaaa11112222", "not_found"),
        (f"x{ID_PREFIX}aaaa11112222", "not_found"),
        ("%%%%%%%", "not_found"),
        ("~~~~~~~~", "not_found"),
        ("\U0010ffff" * 8, "not_found"),
    ],
)
async def test_the_end_of_no_id_or_of_several_is_refused(
    store: Store, new_job: Make, allowed: Decision, name: str, code: str
) -> None:
    for tail in ("aaaa11112222", "bbbb33334444", "cccc33334444"):
        await dispatch(store, new_job(id=ID_PREFIX + tail), allowed)
    async with store.reading() as db:
        with pytest.raises(Refusal) as refused:
            await jobs.get_job(db, name, None)
    assert refused.value.code == code
    if code == "ambiguous_id":
        assert all(ID_PREFIX + tail in refused.value.detail for tail in ("bbbb33334444", "cccc33334444"))


@settings(deadline=None)
@given(st.integers(6, 36))
def test_every_suffix_of_an_id_is_in_the_range_of_its_reversed_suffix(length: int) -> None:
    name = new_id()
    ending = rows.reversed_suffix(name[-length:])
    assert ending <= rows.reversed_suffix(name) < ending + "~"
