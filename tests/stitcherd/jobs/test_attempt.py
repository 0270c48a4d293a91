"""Attempts: the order of their steps, their tries, and the feedback of failed gates."""

from shared.models import Result, Status
from stitcherd.executors.base import ExecutionResult, OutputSink, Task
from stitcherd.jobs import prompt
from tests.stitcherd.jobs.runner_harness import RunnerHarness


async def finish_in_second_try(task: Task, sink: OutputSink) -> ExecutionResult:
    if task.number == 2:
        (task.cwd / "done").write_text("all of it")
    sink.write(b"try %d" % task.number)
    return ExecutionResult(0)


async def test_failed_gates_are_fed_back_to_the_next_try(runners: RunnerHarness) -> None:
    runners.executor.work = finish_in_second_try
    job = await runners.run(type="checked", prompt="Fix it.")
    assert (job.status, job.tries.used) == (Status.COMPLETED, 2)
    first, second = runners.executor.tasks
    assert first.prompt == prompt.first_prompt("Fix it.")
    assert first.cwd == second.cwd
    assert second.prompt.startswith(first.prompt)
    assert "Gate done printed" in second.prompt
    assert "No such file" in second.prompt
    assert "not today" not in second.prompt, "a gate that is not required does not count"
    assert isinstance(job.steps, tuple)
    assert [(step.name, step.try_, step.status) for step in job.steps] == [
        ("checkout", None, "COMPLETED"),
        ("agent", 1, "COMPLETED"),
        ("done", 1, "FAILED"),
        ("audit", 1, "FAILED"),
        ("agent", 2, "COMPLETED"),
        ("done", 2, "COMPLETED"),
        ("audit", 2, "FAILED"),
    ]


async def test_the_next_try_gets_the_reference_and_only_what_is_new(runners: RunnerHarness) -> None:
    async def remember(task: Task, sink: OutputSink) -> ExecutionResult:
        await sink.save_reference({"session": f"of try {task.number}"})
        return await finish_in_second_try(task, sink)

    runners.executor.work = remember
    await runners.run(type="checked", prompt="Fix it.")
    first, second = runners.executor.tasks
    assert first.previous is None
    assert second.previous
    assert second.previous.reference == {"session": "of try 1"}
    assert "Fix it." not in second.previous.follow_up
    assert "Gate done printed" in second.previous.follow_up
    assert prompt.PROMPT_RULES in second.previous.follow_up
    assert second.prompt.startswith(first.prompt), "for an agent that does not know the session any more"


async def test_an_attempt_fails_when_its_tries_are_used_up(runners: RunnerHarness) -> None:
    job = await runners.run(type="checked")
    assert job.error is not None
    assert (job.status, job.error.code) == (Status.FAILED, "gates_failed")
    assert job.error.detail == "gate done failed in try 2 of 2"
    assert len(runners.executor.tasks) == 2


async def test_a_failed_executor_ends_the_attempt_before_the_gates(runners: RunnerHarness) -> None:
    async def fail(task: Task, _sink: OutputSink) -> ExecutionResult:
        ended = await task.run_command(["sh", "-c", "exit 7"], timeout=10.0, write=lambda _data: None)
        assert ended.code == 7
        raise OSError(5, "Input/output error")

    runners.executor.work = fail
    job = await runners.run(type="checked")
    assert job.status is Status.FAILED
    assert isinstance(job.steps, tuple)
    assert [step.name for step in job.steps] == ["checkout", "agent"]


async def test_a_job_without_a_repository_gets_an_empty_directory_and_publishes_nothing(
    runners: RunnerHarness,
) -> None:
    found: list[list[str]] = []

    async def look(task: Task, _sink: OutputSink) -> ExecutionResult:
        found.append([path.name for path in task.cwd.iterdir()])
        (task.cwd / "made").touch()
        return ExecutionResult(0)

    runners.executor.work = look
    job = await runners.run()
    assert found == [[]]
    assert isinstance(job.result, Result)
    assert (job.result.commit, job.result.summary) == (None, "no changes")
