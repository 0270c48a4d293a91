"""The encoding of the nouns."""

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

import shared
from shared import models
from shared.models import (
    Decision,
    JobStep,
    Phase,
    RunnerJob,
    Status,
    StepStatus,
    StepType,
    Thread,
    Tries,
    Usage,
    Verdict,
)

JOB = RunnerJob(
    id="1",
    workspace_id="default",
    agent_task_id=None,
    type="fix",
    status=Status.QUEUED,
    priority=5,
    profile="weaver",
    executor="agent",
    repository="acme/roof",
    ref=None,
    thread=Thread("issue", 7),
    attempt=1,
    tries=Tries(0, 3),
    error=None,
    usage=Usage(),
    rails_revision="r1",
    rails_digest="r1",
    delivery_id=None,
    branch="stitcher/1",
    actor="uid:0",
    created_at="2026-01-01T00:00:00.000Z",
    queued_at=None,
    started_at=None,
    completed_at=None,
    cancel_requested=False,
    version=1,
    last_event="job.queued",
)


def test_unset_fields_are_not_encoded() -> None:
    document = json.loads(msgspec.json.encode(JOB))
    assert "prompt" not in document
    assert "steps" not in document
    assert document["agentTaskId"] is None, "known to be absent is null"
    assert document["workspaceId"] == "default"
    assert document["tries"] == {"used": 0, "max": 3}
    assert document["usage"] == {"inputTokens": 0, "outputTokens": 0, "costUsd": 0.0, "turns": 0}


def test_a_job_survives_encoding_and_unknown_fields_are_ignored() -> None:
    full = msgspec.structs.replace(JOB, prompt="p", result=None, steps=(), decision=Decision(Verdict.ALLOWED, "", None))
    assert msgspec.json.decode(msgspec.json.encode(full), type=RunnerJob) == full
    newer = json.loads(msgspec.json.encode(JOB)) | {"moodOfTheAgent": "fine"}
    assert msgspec.convert(newer, RunnerJob) == JOB


def test_the_try_of_a_step_is_encoded_as_try() -> None:
    step = JobStep("1", "2", 1, 2, 3, Phase.SETUP, StepType.COMMAND, "prepare", StepStatus.RUNNING)
    assert json.loads(msgspec.json.encode(step))["try"] == 2


@pytest.mark.parametrize(
    "noun", [each for each in vars(models).values() if isinstance(each, type) and issubclass(each, models.WireStruct)]
)
def test_nouns_are_frozen_and_camel_case(noun: type[models.WireStruct]) -> None:
    assert noun.__struct_config__.frozen
    assert all("_" not in name for name in noun.__struct_encode_fields__)


def test_the_nouns_import_nothing_heavy() -> None:
    code = "import sys, shared.models; print({'asyncio', 'pydantic', 'aiohttp', 'textual'} & set(sys.modules))"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(shared.__file__).parents[1], capture_output=True, check=True, timeout=30
    )
    assert found.stdout == b"set()\n"
