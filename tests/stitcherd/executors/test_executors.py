"""Tests the table of executors: a new kind is one line, and nothing is assumed of a kind that declares nothing."""

from collections.abc import Collection
from pathlib import Path
from typing import Self

import pytest

from stitcherd import executors
from stitcherd.config.load import SettingsError, load_settings
from stitcherd.config.settings import ExecutorSettings, Settings
from stitcherd.config.types import SupportedKinds
from stitcherd.executors import EXECUTORS, build_executors
from stitcherd.executors.base import (
    ExecutionResult,
    Executor,
    ExecutorHealth,
    OutputSink,
    ProfileConstraints,
    Task,
)
from stitcherd.gates import BUILTINS
from stitcherd.jobs import evaluator
from stitcherd.jobs.evaluator import configured_facts
from stitcherd.rails.load import RailsError, parse_rails
from stitcherd.rails.validate import RailsContext

RAILS = """\
version: 1
profiles:
  weaver: {executor: new, capabilities: [repo:read]}
jobs:
  fix: {profile: weaver}
"""


class NewExecutor(Executor):
    """Implements what it must, and declares nothing."""

    @classmethod
    def from_settings(cls, _settings: ExecutorSettings) -> Self:
        return cls()

    async def run(self, _task: Task, _sink: OutputSink) -> ExecutionResult:
        return ExecutionResult()

    async def resume(self, _task: Task, _reference: dict[str, str], _sink: OutputSink) -> ExecutionResult:
        return ExecutionResult()

    async def terminate(self, _reference: dict[str, str]) -> None: ...

    def detach(self) -> None: ...

    async def health(self, _profiles: Collection[ProfileConstraints]) -> ExecutorHealth:
        return ExecutorHealth(ok=True, detail="new")


@pytest.fixture(autouse=True)
def _one_more_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {**EXECUTORS, "new": NewExecutor}
    monkeypatch.setattr(executors, "EXECUTORS", table)
    monkeypatch.setattr(evaluator, "EXECUTORS", table)


def load(directory: Path, more: str = "") -> Settings:
    (directory / "stitcherd.toml").write_text(f'[executors.new]\nkind = "new"\n{more}')
    return load_settings(directory, SupportedKinds((), executors.EXECUTORS))


def context(settings: Settings) -> RailsContext:
    return RailsContext(BUILTINS, facts=configured_facts(settings))


def refusal(settings: Settings, more: str) -> str:
    with pytest.raises(RailsError) as refused:
        parse_rails(RAILS.replace("capabilities: [repo:read]", f"capabilities: [repo:read], {more}"), context(settings))
    return refused.value.message


def test_the_settings_accept_a_new_kind_and_it_is_built(tmp_path: Path) -> None:
    built = build_executors(load(tmp_path).executors)
    assert isinstance(built["new"], NewExecutor)


def test_the_settings_accept_only_the_keys_that_a_kind_declares(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"executors\.new\.argv: kind new has no argv"):
        load(tmp_path, 'argv = ["x"]')


def test_it_is_not_believed_to_enforce_tools(tmp_path: Path) -> None:
    assert refusal(load(tmp_path), "tools: [read]").startswith(
        "executor new cannot restrict an agent to the tools of profile weaver"
    )


def test_it_is_not_believed_to_run_in_a_sandbox(tmp_path: Path) -> None:
    assert "where sandbox bwrap does not reach" in refusal(load(tmp_path), "sandbox: bwrap")


def test_it_is_not_believed_to_report_usage(tmp_path: Path) -> None:
    rails = parse_rails(RAILS + "limits: {budget: {per_job: {usd: 5}}}\n", context(load(tmp_path)))
    assert [warning.message for warning in rails.warnings] == [
        "per_job does not count what agents of executor new use: it does not report that"
    ]


def test_it_is_not_believed_to_be_resumable() -> None:
    assert not NewExecutor.resumable
