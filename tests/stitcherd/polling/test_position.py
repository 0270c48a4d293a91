"""Which items of a list are new, whatever is listed again and in which order it becomes visible."""

from hypothesis import given, settings
from hypothesis import strategies as st

from stitcherd.forges.base import FeedItem
from stitcherd.polling.position import OVERLAP, decode_position, encode_position, first_position

NOW = 1_800_000_000_000


def item(id_: int, created: int, updated: int | None = None) -> FeedItem:
    return FeedItem(str(id_), created, created if updated is None else updated, None)


def test_what_was_before_the_first_poll_is_not_new() -> None:
    position = first_position(NOW)
    assert not position.is_new(item(1, NOW - 1000))
    assert position.is_new(item(2, NOW))


def test_an_edit_of_an_old_item_is_not_new() -> None:
    position = first_position(NOW).after([item(1, NOW + 1000)])
    late = position.after([item(2, NOW + 3 * OVERLAP)])
    assert not late.is_new(item(1, NOW + 1000, NOW + 3 * OVERLAP))
    assert not first_position(NOW).is_new(item(3, NOW - OVERLAP, NOW + 1))


def test_an_item_that_becomes_visible_late_is_new_once() -> None:
    position = first_position(NOW).after([item(9, NOW + 60_000)])
    late = item(8, NOW + 30_000)
    assert position.is_new(late)
    assert not position.after([late]).is_new(late)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20 * OVERLAP), st.integers(0, 20 * OVERLAP)), max_size=40),
    st.lists(st.integers(1, 10), max_size=10),
)
def test_each_item_is_new_in_exactly_one_round(items: list[tuple[int, int, int]], rounds: list[int]) -> None:
    known = {id_: item(id_, NOW + created, NOW + created + later) for id_, created, later in items}
    listed = sorted(known.values(), key=lambda each: each.updated_at)
    position, found = first_position(NOW), list[str]()
    for count in [*rounds, len(listed)]:
        visible, listed = listed[:count], listed[count:]
        again = [each for each in known.values() if each.updated_at >= position.asked_since and each.id in found]
        fresh = [each.id for each in (*visible, *again) if position.is_new(each)]
        assert len(fresh) == len(set(fresh))
        assert not set(fresh) & set(found)
        found += fresh
        position = decode_position(encode_position(position.after([*visible, *again])))
    unedited = {id_ for id_, each in known.items() if each.updated_at == each.created_at}
    assert unedited <= {int(each) for each in found}
