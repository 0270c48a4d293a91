"""docs/rails.md names every event of triggers and every condition of guards."""

import re
from pathlib import Path
from typing import get_args

from stitcherd.rails.schema import GuardCondition
from stitcherd.rails.types import EventName

REFERENCE = (Path(__file__).parents[3] / "docs" / "rails.md").read_text()


def test_all_events_are_listed_and_no_others() -> None:
    assert re.findall(r"^\| `((?:issue|change|push|check)[a-z_.]*)` \|", REFERENCE, re.MULTILINE) == [
        *get_args(EventName)
    ]


def test_all_conditions_are_listed_and_no_others() -> None:
    listed = {
        name for row in re.findall(r"^\| (`.*?`) \| ", REFERENCE, re.MULTILINE) for name in re.findall(r"`(\w+): ", row)
    }
    assert listed == set(GuardCondition.model_fields)
