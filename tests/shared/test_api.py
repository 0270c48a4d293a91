"""The encoding of the API's messages."""

import json

import msgspec
import pytest

from shared import api
from shared.api import JobRequest, Problem, Readiness, ReadinessCheck
from shared.models import WireStruct


@pytest.mark.parametrize(
    "message", [each for each in vars(api).values() if isinstance(each, type) and issubclass(each, WireStruct)]
)
def test_messages_are_frozen_and_camel_case(message: type[WireStruct]) -> None:
    assert message.__struct_config__.frozen
    assert all("_" not in name for name in message.__struct_encode_fields__)


def test_a_job_request_omits_what_is_not_given() -> None:
    assert json.loads(msgspec.json.encode(JobRequest("fix", priority=0, agent_task_id="7"))) == {
        "type": "fix",
        "priority": 0,
        "agentTaskId": "7",
    }


def test_readiness_omits_checks_that_the_caller_may_not_see() -> None:
    assert json.loads(msgspec.json.encode(Readiness(ready=True))) == {"ready": True}
    check = ReadinessCheck("daemon", ok=True, detail="running", since="2026-11-22T14:02:11.284Z")
    assert len(json.loads(msgspec.json.encode(Readiness(True, (check,))))["checks"]) == 1


def test_a_problem_has_its_extensions_only_where_they_are_set() -> None:
    problem = Problem("about:blank", "No", 422, "invalid", "q: unknown key", column=3)
    document = json.loads(msgspec.json.encode(problem))
    assert document["column"] == 3
    assert document.keys().isdisjoint({"decision", "faults", "line", "message"})
