"""Every key of rails.yaml has an effect, or a warning that it has none.

Most keys are tested with one delivery under two texts that differ only in that key. For those that act while a job
runs, the test that shows their effect is named; those that this version does not support must cause a warning.
"""

import json
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel

from stitcherd.config.yaml_nodes import parse_yaml
from stitcherd.rails.decide import Evaluation, decide
from stitcherd.rails.load import RailsError, parse_rails
from stitcherd.rails.requirements import RuntimeFacts
from stitcherd.rails.schema import RailsFile
from stitcherd.sources.trigger import Trigger
from tests.stitcherd.rails.contexts import CAPABLE, CONTEXT
from tests.stitcherd.rails.key_cases import BASE, DECIDING, RUNNING, Sides

TESTS = Path(__file__).parents[2]
EXAMPLE = TESTS.parents[1] / "shared" / "rails.example.yaml"


def keys(model: type[BaseModel], above: str = "") -> Iterator[str]:
    """Yield the path of every key that takes a value; a name is `*`, and so is a place in a list."""
    for name, field in model.model_fields.items():
        path, inner = f"{above}{field.alias or name}", bare(field.annotation)
        if get_origin(inner) in {dict, tuple}:
            item = bare(get_args(inner)[1 if get_origin(inner) is dict else 0])
            if isinstance(item, type) and issubclass(item, BaseModel):
                yield from keys(item, f"{path}.*.")
                continue
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from keys(inner, f"{path}.")
        else:
            yield path


def bare(annotation: Any) -> Any:
    while hasattr(annotation, "__metadata__") or type(None) in get_args(annotation):
        annotation = get_args(annotation)[0]
    return annotation


def general(path: str) -> str:
    """Return the path of a key of BASE as `keys` has it."""
    first, _, rest = path.partition(".")
    named = first in {"people", "profiles", "jobs", "gates", "triggers", "guards"}
    return f"{first}.*.{rest.partition('.')[2]}" if named else path


def put(into: dict[str, Any], path: str, value: Any) -> None:
    *way, last = path.split(".")
    here: Any = into
    for part in way:
        here = here[int(part)] if isinstance(here, list) else here.setdefault(part, {})
    if isinstance(here, list):
        here[int(last)] = value
    elif value is None:
        here.pop(last, None)
    else:
        here[last] = value


def texts(path: str, sides: Sides) -> Iterator[str]:
    for value in (sides.one, sides.other):
        rails = deepcopy(BASE)
        for key, given in sides.base.items():
            put(rails, key, deepcopy(given))
        put(rails, path, value)
        yield json.dumps(rails)


def said(text: str, trigger: Trigger, facts: RuntimeFacts) -> str:
    """Return all that is said, and how often, of a delivery under a text."""
    try:
        ruling: Evaluation = decide(trigger, parse_rails(text, CONTEXT), facts)
    except RailsError as refused:
        return f"refused: {refused.message}"
    decision = ruling.decision
    job = f" → job {ruling.job.name}" if ruling.job else ""
    remedy = f" ({decision.remedy.text})" if decision.remedy else ""
    return f"{decision.verdict}: {decision.reason}{remedy}{job}"


@pytest.mark.parametrize("path", DECIDING)
def test_each_key_changes_a_decision(path: str, comment: Callable[..., Trigger]) -> None:
    sides = DECIDING[path]
    usual: dict[str, Any] = {"executors": {"smith": CAPABLE}, "sandboxes": {"bwrap": None}, "bot": "mosaic"}
    facts = RuntimeFacts(**usual | {"gates": {"diff-rules": None}} | sides.facts)
    one, other = (said(text, comment(**sides.asked), facts) for text in texts(path, sides))
    assert sides.says[0] in one
    assert sides.says[1] in other
    assert one != other


@cache
def names_of_tests() -> frozenset[str]:
    definition = re.compile(r"^(?:async )?def (test_\w+)", re.MULTILINE)
    return frozenset(chain.from_iterable(definition.findall(path.read_text()) for path in TESTS.rglob("test_*.py")))


@pytest.mark.parametrize("path", RUNNING)
def test_keys_that_act_while_a_job_runs_have_a_test(path: str) -> None:
    assert RUNNING[path] in names_of_tests()


def test_every_key_is_covered() -> None:
    shown = {general(path) for path in DECIDING} | set(RUNNING)
    wanted = set(keys(RailsFile))
    assert wanted - shown == set()
    assert shown - wanted == set()


@pytest.mark.skipif(not EXAMPLE.exists(), reason="the example lies beside the project, not in it")
def test_the_example_has_no_other_keys() -> None:
    root = parse_yaml(EXAMPLE.read_text())
    assert root is not None

    def leaves(value: Any, above: str = "") -> Iterator[str]:
        for key, inner in value.items():
            if isinstance(inner, dict):
                yield from leaves(inner, f"{above}{key}.")
            elif isinstance(inner, tuple) and inner and isinstance(inner[0], dict):
                for each in inner:
                    yield from leaves(each, f"{above}{key}.*.")
            else:
                yield f"{above}{key}"

    assert {general(path) if "*" not in path else path for path in leaves(root.plain())} <= set(keys(RailsFile))
