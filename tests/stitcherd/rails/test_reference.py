"""docs/rails.md names every event of triggers, every key of groups and every condition of guards."""

import re
from pathlib import Path
from typing import get_args

from stitcherd.rails.schema import GroupSpec, GuardCondition
from stitcherd.rails.types import EventName

REFERENCE = (Path(__file__).parents[3] / "docs" / "rails.md").read_text()


def test_all_events_are_listed_and_no_others() -> None:
    assert re.findall(r"^\| `((?:issue|change|push|check)[a-z_.]*)` \|", REFERENCE, re.MULTILINE) == [
        *get_args(EventName)
    ]


def keys_listed_under(heading: str) -> set[str]:
    section = REFERENCE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?`) \| ", section, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(\w+): ", row)}


def test_all_conditions_are_listed_and_no_others() -> None:
    assert keys_listed_under("Conditions of guards") == set(GuardCondition.model_fields)


def test_all_keys_of_groups_are_listed_and_no_others() -> None:
    assert keys_listed_under("People") == set(GroupSpec.model_fields)
