import re
from collections.abc import Callable
from pathlib import Path

from shared.models import Verdict
from stitcherd.rails.decide import decide
from stitcherd.rails.load import load_rails, parse_rails
from stitcherd.rails.requirements import RuntimeFacts
from stitcherd.sources.trigger import Command, Trigger
from tests.stitcherd.rails.contexts import CAPABLE, CONTEXT

SHIPPED = Path(__file__).parents[3] / "config" / "rails.yaml"
FACTS = RuntimeFacts(executors={"agent": CAPABLE}, sandboxes={"bwrap": None}, gates={"diff-rules": None}, bot="mosaic")
README = SHIPPED.parents[1] / "README.md"


def test_nobody_is_allowed_until_an_account_is_added(comment: Callable[..., Trigger]) -> None:
    book = load_rails(SHIPPED, CONTEXT)
    asked = comment(commands=(Command("fix", ""),))
    assert [each.message.partition(":")[0] for each in book.warnings] == ["team has no members yet"]
    ruling = decide(asked, book, FACTS)
    assert ruling.decision.verdict is Verdict.DENIED
    assert ruling.decision.reason == "who: forge:ann is in none of team"
    filled = book.text.replace("users: []", 'users: ["forge:ann"]')
    ruling = decide(asked, parse_rails(filled, CONTEXT), FACTS)
    assert ruling.decision.verdict is Verdict.ALLOWED
    assert ruling.job is not None
    assert [gate.name for gate in ruling.job.gates] == ["scope", "tests"]


def test_the_example_of_the_readme_has_no_warnings() -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    (example,) = (block for block in blocks if block.startswith("version: 1"))
    assert parse_rails(example, CONTEXT).warnings == ()
