"""Budgets: what is left is never more than any of them allows."""

from hypothesis import given
from hypothesis import strategies as st

from stitcherd.budget import Budget, Spent

amounts = st.none() | st.integers(1, 20)
budgets = st.builds(Budget, amounts, amounts.map(lambda cents: None if cents is None else cents / 4))


@given(budgets, budgets, st.integers(0, 30), st.integers(0, 30))
def test_what_is_left_exceeds_no_part_of_a_budget(one: Budget, two: Budget, turns: int, cents: int) -> None:
    spent = Spent(turns, cents / 4)
    left = one.less(spent).within(two)
    for budget in (one.less(spent), two):
        assert budget.turns is None or (left.turns is not None and left.turns <= budget.turns)
        assert budget.usd is None or (left.usd is not None and left.usd <= budget.usd)
    over = (one.turns is not None and turns >= one.turns) or (one.usd is not None and cents / 4 >= one.usd)
    assert (one.used_up(spent) is not None) == over
