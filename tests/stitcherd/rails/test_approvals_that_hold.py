"""Approvals under changed rails: one holds only of the account that gave it."""

from collections.abc import Callable

import pytest

from stitcherd.policy import GrantedApproval, GuardQuestion
from stitcherd.rails.approvals import still_holds
from stitcherd.rails.load import parse_rails
from stitcherd.rails.requirements import RuntimeFacts
from stitcherd.sources.trigger import Trigger
from tests.stitcherd.store.factories import approval_request


@pytest.mark.parametrize(
    ("actor", "account_id", "users", "kept", "holds"),
    [
        ("source:forge/zoe", "1", "forge:zoe", {}, True),
        ("source:forge/zoe", "1", "forge:zoe", {"forge:zoe": "1"}, True),
        ("source:forge/zoe", "1", "forge:zoe", {"forge:zoe": "2"}, False),  # the operator accepted another account
        ("source:forge/Zoe", "1", "forge:zoe", {"forge:zoe": "2"}, False),
        ("source:forge/zoe", "1", "forge:zoe#1", {}, True),
        ("source:forge/zoe", "1", "forge:zoe#2", {}, False),
        ("source:forge/zoe", None, "forge:zoe", {"forge:zoe": "2"}, True),  # the sender gives no ids
        ("source:forge/zoe", None, "forge:zoe#2", {}, False),
        ("source:forge/zoe", "1", "forge:max", {}, False),
        ("uid:1000", None, "forge:max", {"forge:zoe": "2"}, True),
    ],
)
def test_an_approval_holds_only_of_the_account_that_gave_it(
    comment: Callable[..., Trigger],
    actor: str,
    account_id: str | None,
    users: str,
    kept: dict[str, str],
    holds: bool,
) -> None:
    rails = parse_rails(f'version: 1\npeople:\n  chiefs: {{users: ["{users}"]}}\n')
    wanted = approval_request(guards=(GuardQuestion("stranger", ("chiefs",)),), rails_digest=rails.digest)
    granted = GrantedApproval(wanted, actor, account_id)
    assert still_holds(granted, wanted, comment(), rails, RuntimeFacts(account_ids=kept)) is holds
