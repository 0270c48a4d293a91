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
from msgspec import Struct
from pydantic import BaseModel

from shared.models import Thread
from stitcherd.config.yaml_nodes import parse_yaml
from stitcherd.policy import AccountAccess
from stitcherd.rails.decide import Evaluation, decide
from stitcherd.rails.load import RailsError, parse_rails
from stitcherd.rails.requirements import ExecutorFacts, RuntimeFacts
from stitcherd.rails.schema import RailsFile
from stitcherd.sources.trigger import Trigger
from tests.stitcherd.rails.contexts import CAPABLE, CONTEXT

TESTS = Path(__file__).parents[2]
EXAMPLE = TESTS.parents[1] / "shared" / "rails.example.yaml"

BASE: dict[str, Any] = {
    "version": 1,
    "people": {"crew": {"users": ["forge:ann"]}, "chiefs": {"users": ["forge:cleo"]}},
    "profiles": {"careful": {"capabilities": ["repo:read", "repo:write"], "executor": "smith"}},
    "jobs": {"mend": {"profile": "careful"}, "amend": {"profile": "careful"}},
    "triggers": [{"id": "word", "on": ["issue.comment"], "from": ["crew"], "job": "mend"}],
    "guards": [{"id": "wait", "if": {"labels_any": ["hold"]}, "then": "deny"}],
    "gates": {"scope": {"builtin": "diff-rules"}},
}
STRANGE = {"thread": Thread("issue", 7, author="forge:eve")}
GUARD = {"id": "wait", "then": "deny"}
STRANGER = GUARD | {"if": {"author_of": ["issue"], "not_in": ["crew"]}}
ASKING = {"id": "wait", "if": {"labels_any": ["hold"]}, "then": "require-approval"}
BOXED = {"capabilities": ["repo:read"], "executor": "smith", "sandbox": "bwrap"}
HOME = {"source": "home", "sender": "home", "author": "home", "by_source": True, "thread": None, "quotes": ()}


class Sides(Struct):
    """Two values for one key, what is asked, and what is said under each: a part of `verdict: reason`."""

    one: Any
    other: Any
    says: tuple[str, str]
    asked: dict[str, Any] = {}
    facts: dict[str, Any] = {}
    base: dict[str, Any] = {}


ALLOWED_DENIED = ("allowed", "denied")
ALLOWED_IGNORED = ("allowed", "ignored")
HELD = {"labels": ("hold",)}
NO_EXECUTOR = "stitcherd.toml has no [executors.nobody]"

DECIDING: dict[str, Sides] = {
    "version": Sides(1, 2, ("allowed", "refused: version must be 1")),
    "mode": Sides("enforce", "observe", ("allowed: trigger word", "ignored: observe: would have been allowed")),
    "people.crew.users": Sides(["forge:ann"], ["forge:eve"], ALLOWED_DENIED),
    "people.crew.permission": Sides(
        "write",
        "admin",
        ALLOWED_DENIED,
        {"account_ids": {"forge:ann": ("7",)}},
        {"access": {"7": AccountAccess("write", 0)}, "cannot_ask": None},
        {"people.crew.users": None},
    ),
    "people.crew.sources": Sides(["home"], ["forge"], ALLOWED_DENIED, HOME),
    "profiles.careful.capabilities": Sides(
        ["repo:write"],
        ["repo:read"],
        ("allowed", "refused: profile 'careful' does not have repo:write"),
        base={"jobs.mend.needs": ["repo:write"]},
    ),
    "profiles.careful.executor": Sides("smith", "nobody", ("allowed", f"denied: capability: {NO_EXECUTOR}")),
    "profiles.careful.tools": Sides(
        None,
        ["read"],
        ("allowed", "denied: capability: executor smith cannot restrict"),
        facts={"executors": {"smith": ExecutorFacts()}},
    ),
    "profiles.careful.sandbox": Sides(
        "none", "bwrap", ("allowed", "denied: capability: no bwrap"), facts={"sandboxes": {"bwrap": "no bwrap"}}
    ),
    "profiles.careful.memory": Sides(
        None,
        "1GiB",
        ("allowed", "denied: capability: memory"),
        facts={"unenforceable_limits": {"memory": "no"}},
        base={"profiles.careful": BOXED},
    ),
    "profiles.careful.processes": Sides(
        None,
        9,
        ("allowed", "denied: capability: processes"),
        facts={"unenforceable_limits": {"processes": "no"}},
        base={"profiles.careful": BOXED},
    ),
    "profiles.careful.disk": Sides(None, "1GiB", ("allowed", "refused: disk is enforced only in a sandbox")),
    "profiles.careful.network": Sides("host", "none", ("allowed", "refused: network is enforced only in a sandbox")),
    "profiles.careful.mounts": Sides([], ["/opt"], ("allowed", "refused: mounts is enforced only in a sandbox")),
    "jobs.mend.profile": Sides(
        "careful",
        "other",
        ("allowed", f"denied: capability: {NO_EXECUTOR}"),
        base={"profiles.other": {"executor": "nobody"}},
    ),
    "jobs.mend.needs": Sides(
        [], ["repo:write"], ("allowed", "denied: capability: nowhere"), facts={"publish": "nowhere"}
    ),
    "jobs.mend.gates": Sides(
        [], ["scope"], ("allowed", "denied: capability: none here"), facts={"gates": {"diff-rules": "none here"}}
    ),
    "triggers.0.id": Sides("word", "other", ("allowed: trigger word", "allowed: trigger other")),
    "triggers.0.on": Sides(["issue.comment"], ["push"], ALLOWED_IGNORED),
    "triggers.0.command": Sides("mend", "raze", ALLOWED_IGNORED),
    "triggers.0.repos": Sides(["acme/*"], ["*", "!acme/roof"], ALLOWED_IGNORED),
    "triggers.0.assignee": Sides(
        "@bot",
        "forge:ann",
        ALLOWED_IGNORED,
        {"assignees": ("forge:mosaic",), "name": "issue.assigned"},
        base={"triggers.0.on": ["issue.assigned"]},
    ),
    "triggers.0.labels.all": Sides(["ready"], ["ready", "set"], ALLOWED_IGNORED, {"labels": ("ready",)}),
    "triggers.0.labels.none": Sides(["wip"], ["ready"], ALLOWED_IGNORED, {"labels": ("ready",)}),
    "triggers.0.from": Sides(["crew"], ["chiefs"], ALLOWED_DENIED),
    "triggers.0.job": Sides("mend", "amend", ("job mend", "job amend")),
    "guards.0.id": Sides("wait", "stay", ("denied: guard wait", "denied: guard stay"), HELD),
    "guards.0.if.author_of": Sides(["change"], ["issue"], ALLOWED_DENIED, STRANGE, base={"guards.0": STRANGER}),
    "guards.0.if.not_in": Sides(["crew"], ["chiefs"], ALLOWED_DENIED, base={"guards.0": STRANGER}),
    "guards.0.if.change_from_fork": Sides(
        None,
        True,
        ("denied", "allowed"),
        {"labels": ("hold",), "from_fork": False, "name": "change.opened"},
        base={"triggers.0.on": ["change.opened"]},
    ),
    "guards.0.if.labels_any": Sides(["hold"], ["keep"], ("denied", "allowed"), HELD),
    "guards.0.if.hidden_text": Sides(
        None,
        True,
        ("denied: guard wait: any label of hold", "allowed"),
        HELD,
    ),
    "guards.0.if.draft": Sides(
        True,
        None,
        ("denied: guard wait: any label of hold and draft", "denied: guard wait: any label of hold"),
        HELD | {"name": "change.comment", "draft": True},
        base={"triggers.0.on": ["change.comment"]},
    ),
    "guards.0.if.closed": Sides(None, True, ("denied: guard wait: any label of hold", "allowed"), HELD),
    "guards.0.if.locked": Sides(None, True, ("denied: guard wait: any label of hold", "allowed"), HELD),
    "guards.0.then": Sides("deny", "require-approval", ("denied", "waiting"), HELD),
    "guards.0.by": Sides(
        ["chiefs"],
        ["crew"],
        ("a member of chiefs approves", "a member of crew approves"),
        HELD,
        base={"guards.0": ASKING},
    ),
    "guards.0.because": Sides("it rains", "it snows", ("it rains", "it snows"), HELD),
}

RUNNING: dict[str, str] = {  # and the test that shows what the key does
    "profiles.*.model": "test_a_profile_becomes_permissions_of_the_gateway",
    "profiles.*.timeout": "test_an_agent_that_fails_fails_the_job",
    "profiles.*.env": "test_the_environment_of_an_agent_has_no_secret",
    "jobs.*.tries": "test_gates_that_never_pass_fail_the_job",
    "jobs.*.on_interrupt": "test_a_job_killed_in_its_agent_follows_on_interrupt",
    "approvals.command": "test_only_the_first_command_approves_or_denies",
    "approvals.expires": "test_an_expired_request_can_be_denied_but_not_approved",
    "approvals.self": "test_who_may_approve_what",
    "approvals.pins": "test_only_what_is_pinned_must_be_unchanged",
    "limits.running.total": "test_a_job_beyond_the_limit_waits_and_says_why",
    "limits.running.per_repo": "test_a_full_repository_does_not_hold_jobs_of_another",
    "limits.rate.per_sender": "test_rate_limits",
    "limits.rate.per_repo": "test_the_tightest_of_several_says_when",
    "limits.rate.per_thread": "test_rate_limits",
    "limits.budget.per_job.turns": "test_a_try_may_use_what_earlier_tries_left",
    "limits.budget.per_job.usd": "test_budgets_of_jobs_and_days_hold_across_a_restart",
    "limits.budget.per_day.turns": "test_what_is_left_exceeds_no_part_of_a_budget",
    "limits.budget.per_day.usd": "test_budgets_of_jobs_and_days_hold_across_a_restart",
    "paths.protected": "test_a_protected_path_may_not_be_touched",
    "paths.gates.add": "test_what_the_rails_add_decides_a_gate",
    "paths.gates.on_edit": "test_a_file_that_decides_a_gate_is_published_only_when_approved",
    "paths.tests.globs": "test_what_may_be_done_to_tests",
    "paths.tests.may": "test_what_may_be_done_to_tests",
    "paths.tests.on_edit": "test_the_approved_commit_is_published",
    "paths.max_diff.files": "test_the_size_of_a_change_is_limited",
    "paths.max_diff.lines": "test_the_size_of_a_change_is_limited",
    "gates.*.run": "test_the_next_try_gets_the_output_of_a_failed_gate",
    "gates.*.builtin": "test_findings_of_the_rules_go_back_to_the_agent",
    "gates.*.timeout": "test_a_gate_has_a_time_limit",
    "gates.*.retries": "test_a_command_that_passes_only_when_retried_is_flaky",
    "gates.*.required": "test_a_gate_that_is_not_required_only_warns",
    "gates.*.from_base": "test_a_gate_can_be_taken_from_the_base",
    "gates.*.expect.output": "test_exit_code_zero_without_the_expected_output_fails",
    "gates.*.env": "test_the_environment_of_an_agent_has_no_secret",
    "gates.*.sandbox": "test_a_gate_in_the_sandbox_sees_only_the_commit",
    "gates.*.network": "test_the_network_is_shared_unless_it_is_disabled",
    "gates.*.mounts": "test_only_the_two_given_directories_are_writable",
    "gates.*.memory": "test_one_process_or_file_is_limited",
    "gates.*.processes": "test_one_process_or_file_is_limited",
    "gates.*.disk": "test_one_process_or_file_is_limited",
    "report.acknowledge": "test_a_request_is_acknowledged_where_it_was_made",
    "report.thread": "test_a_thread_has_one_comment_with_all_its_jobs",
    "report.status": "test_a_status_shows_the_job_at_the_head_of_the_change",
    "report.change": "test_what_the_rails_report_needs_a_capability_of_the_profile",
    "report.explain_denials_to": "test_a_denial_is_explained_to_members_only",
}


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
