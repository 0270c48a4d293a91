"""What one credential may send: the pace of writes, and every way in which forges announce a limit."""

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stitcherd.forges.base import Request, Response
from stitcherd.forges.rate_limit import (
    FIRST_WAIT,
    LONGEST_HOLD,
    LONGEST_WAIT,
    WRITE_INTERVAL,
    RequestLimit,
    exceeded_limit,
    retry_after,
)
from tests.stitcherd.forges.responses import response

NOW = 1_795_000_000_000
READ = Request(method="GET", path="/user")
WRITE = Request(method="POST", path="/notes")
SECONDARY = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes."}


def epoch(seconds: float) -> str:
    return str(int(NOW / 1000 + seconds))


@pytest.mark.parametrize(
    ("answer", "reason", "wait"),
    [
        (response(429, Retry_After="7"), "secondary", 7_000),
        (response(403, Retry_After="7"), "secondary", 7_000),
        (response(403, SECONDARY, Retry_After="7"), "secondary", 7_000),
        (response(403, SECONDARY), "secondary", FIRST_WAIT),
        (response(429), "secondary", FIRST_WAIT),
        (response(403, {"message": "You have triggered an abuse detection mechanism"}), "secondary", FIRST_WAIT),
        (response(403, X_RateLimit_Remaining="0", X_RateLimit_Reset=epoch(9)), "primary", 9_000),
        (response(429, RateLimit_Remaining="0", RateLimit_Reset=epoch(9)), "primary", 9_000),
        (response(429, RateLimit_Remaining="0", Retry_After="11", RateLimit_Reset=epoch(9)), "primary", 11_000),
        (response(200, X_RateLimit_Remaining="0", X_RateLimit_Reset=epoch(9)), "primary", 9_000),
        (response(201, RateLimit_Remaining="0", RateLimit_Reset=epoch(9)), "primary", 9_000),
        (response(429, Retry_After=formatdate(NOW / 1000 + 30, usegmt=True)), "secondary", 30_000),
        (response(429, Retry_After="99999999999"), "secondary", LONGEST_HOLD),
        (response(429, Retry_After="soon"), "secondary", FIRST_WAIT),
        (response(429, Retry_After="0"), "secondary", WRITE_INTERVAL),
        (response(429, Retry_After="-5"), "secondary", FIRST_WAIT),
        (response(403, X_RateLimit_Remaining="0", X_RateLimit_Reset=epoch(-60)), "primary", WRITE_INTERVAL),
        (response(403, X_RateLimit_Remaining="0"), "primary", FIRST_WAIT),
        (response(403, SECONDARY, X_RateLimit_Remaining="0", X_RateLimit_Reset=epoch(9)), "secondary", FIRST_WAIT),
    ],
)
def test_a_limit_holds_the_credential(answer: Response, reason: str, wait: int) -> None:
    limit = RequestLimit().received(WRITE, answer, NOW)
    assert limit.reason == f"{reason} rate limit"
    assert limit.held_until == NOW + wait
    assert limit.ready_at(READ, NOW) == limit.ready_at(WRITE, NOW) == NOW + wait
    assert limit.ready_at(READ, NOW + wait) == NOW + wait


@pytest.mark.parametrize(
    "answer",
    [
        response(403, {"message": "Resource not accessible by integration"}),
        response(403, X_RateLimit_Remaining="4999", X_RateLimit_Reset=epoch(9)),
        response(403, X_RateLimit_Remaining="none"),
        response(404),
        response(500, SECONDARY),
        response(200, X_RateLimit_Remaining="0"),
    ],
)
def test_any_other_response_holds_nothing(answer: Response) -> None:
    assert exceeded_limit(answer) is None
    assert RequestLimit().received(WRITE, answer, NOW) == RequestLimit()


def test_a_reset_is_read_by_the_clock_of_the_forge() -> None:
    fast = NOW / 1000 + 3600  # the forge's clock is an hour ahead of ours
    answer = response(
        429, RateLimit_Remaining="0", RateLimit_Reset=str(int(fast + 9)), Date=formatdate(fast, usegmt=True)
    )
    assert RequestLimit().received(READ, answer, NOW).held_until == NOW + 9_000
    dated = response(429, Retry_After=formatdate(fast + 9, usegmt=True), Date=formatdate(fast, usegmt=True))
    assert retry_after(dated, NOW) == NOW + 9_000


def test_secondary_limits_in_a_row_hold_longer_until_a_write_is_done() -> None:
    limit, now, waits = RequestLimit(), NOW, []
    for _ in range(7):
        limit = limit.received(WRITE, response(403, SECONDARY), now)
        waits.append(limit.held_until - now)
        now = limit.held_until
        limit = limit.received(READ, response(200), now)  # reads are limited apart
    assert waits == [60_000, 120_000, 240_000, 480_000, LONGEST_WAIT, LONGEST_WAIT, LONGEST_WAIT]
    limit = limit.received(WRITE, response(201), now)
    assert limit.received(WRITE, response(403, SECONDARY), now).held_until == now + FIRST_WAIT


def test_a_response_that_was_overtaken_by_a_limit_does_not_end_it() -> None:
    limit = RequestLimit().received(READ, response(429, Retry_After="600"), NOW)
    for later in (response(200), response(429, Retry_After="7"), response(403, X_RateLimit_Remaining="0")):
        assert limit.received(WRITE, later, NOW + 10).held_until == NOW + 600_000


def test_reads_have_no_pace() -> None:
    limit = RequestLimit().sent(WRITE, NOW).sent(READ, NOW)
    assert limit.ready_at(READ, NOW) == NOW
    assert limit.ready_at(WRITE, NOW) == NOW + WRITE_INTERVAL


ANSWERS = st.builds(
    lambda status, remaining, reset, after, said: response(
        status,
        SECONDARY if said else None,
        **{
            name: value
            for name, value in (
                ("X_RateLimit_Remaining", remaining),
                ("X_RateLimit_Reset", reset),
                ("Retry_After", after),
            )
            if value is not None
        },
    ),
    st.sampled_from([200, 201, 403, 404, 429, 500]),
    st.none() | st.sampled_from(["0", "1", "x", "-1", "٣"]),
    st.none() | st.integers(-(10**20), 10**20).map(str),
    st.none() | st.integers(-10, 10**6).map(str) | st.text("0123456789 GMTabc:,", max_size=30),
    st.booleans(),
)
STEPS = st.lists(st.tuples(st.booleans(), st.integers(0, 100_000), ANSWERS), max_size=40)


@given(STEPS)
def test_whoever_obeys_it_never_exceeds_the_pace_nor_ignores_a_limit(
    steps: list[tuple[bool, int, Response]],
) -> None:
    limit, now, last_write = RequestLimit(), NOW, None
    for writes, idle, answer in steps:
        request = WRITE if writes else READ
        now += idle
        ready = limit.ready_at(request, now)
        assert now <= ready <= now + LONGEST_HOLD
        assert ready >= limit.held_until
        now = ready
        if writes:
            assert last_write is None or now - last_write >= WRITE_INTERVAL
            last_write = now
        limit = limit.sent(request, now).received(request, answer, now)
        if exceeded_limit(answer):
            assert limit.held_until >= now + WRITE_INTERVAL
            named = retry_after(answer, now)
            assert named is None or limit.held_until >= named
