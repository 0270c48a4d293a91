"""Public ids and times."""

import re
import time
from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from shared import ids


def test_an_id_is_a_uuid_v7_with_the_current_time() -> None:
    before = time.time_ns() // 1_000_000
    made = [ids.new_id() for _ in range(1000)]
    after = time.time_ns() // 1_000_000
    assert len(set(made)) == 1000
    for each in made:
        known = UUID(each)
        assert str(known) == each
        assert (known.version, known.variant) == (7, "specified in RFC 4122")
        assert before <= known.int >> 80 <= after


def test_short_ids_and_branch_names() -> None:
    whole = "0199f3a1-5c2f-7a60-8e21-5b1f7f3a1c9d"
    assert ids.short_id(whole) == "7f3a1c9d"
    assert ids.branch_name(whole) == "stitcher/5b1f7f3a1c9d"


@settings(deadline=None)
@given(st.integers(0, 253_402_300_799_999))
def test_a_timestamp_keeps_milliseconds(milliseconds: int) -> None:
    text = ids.format_timestamp(milliseconds)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
    moment = datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)
    assert moment.days * 86_400_000 + moment.seconds * 1000 + moment.microseconds // 1000 == milliseconds
