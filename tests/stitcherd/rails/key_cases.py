"""What each key of rails.yaml changes: the two sides of its decision, or the test that shows its effect on a job."""

from typing import Any

from msgspec import Struct

from shared.models import Thread
from stitcherd.policy import AccountAccess
from stitcherd.rails.requirements import ExecutorFacts

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
    "report.change": "test_a_change_is_opened_for_a_published_commit",
    "report.explain_denials_to": "test_a_denial_is_explained_to_members_only",
}
