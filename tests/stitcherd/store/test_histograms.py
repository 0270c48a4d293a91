"""Histograms of durations: bounds without gaps, and percentiles within the promised error."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stitcherd.store.histograms import BOUNDS, EMPTY, add, bucket_of, percentiles, text_of

DURATIONS = st.integers(0, BOUNDS[-1])


def test_bounds_grow_by_a_fifth_at_most_or_by_one() -> None:
    assert BOUNDS[0] == 0
    for low, high in pairwise(BOUNDS):
        assert high == low + 1 or low < high <= low * 1.2


@given(DURATIONS)
def test_a_duration_is_between_the_bounds_of_its_bucket(duration: int) -> None:
    bucket = bucket_of(duration)
    assert BOUNDS[bucket] <= duration
    assert bucket + 1 == len(BOUNDS) or duration < BOUNDS[bucket + 1]


@given(st.lists(DURATIONS, min_size=1, max_size=40), st.integers(1, 100))
def test_a_percentile_is_within_ten_percent_of_the_exact_one(durations: list[int], percent: int) -> None:
    exact = sorted(durations)[-(-len(durations) * percent // 100) - 1]
    histogram = add(EMPTY, ",".join(map(text_of, durations)))
    found, again = percentiles(histogram, percent, percent)
    assert found == again
    assert found is not None
    assert abs(found - exact) <= exact / 10


def test_negative_and_enormous_durations_have_a_bucket() -> None:
    assert bucket_of(-5) == 0
    assert bucket_of(2**62) == len(BOUNDS) - 1
    assert percentiles(add(EMPTY, text_of(2**62)), 50) == [BOUNDS[-1]]


def test_an_empty_histogram_has_no_percentile() -> None:
    assert percentiles(EMPTY, 50, 95) == [None, None]
    assert percentiles(add(EMPTY, "{}"), 50) == [None]


@given(st.lists(DURATIONS, min_size=1), st.lists(DURATIONS, min_size=1))
def test_what_is_added_can_be_taken_away_again(first: list[int], others: list[int]) -> None:
    before = add(EMPTY, ",".join(map(text_of, first)))
    texts = ",".join(map(text_of, others))
    after = add(before, texts)
    assert sum(after) == len(first) + len(others)
    assert add(after, texts, -1) == before
    assert not any(EMPTY)
