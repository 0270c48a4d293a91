from stitcherd.rails.load import parse_rails
from stitcherd.sandbox.bubblewrap import SandboxSpec
from tests.stitcherd.rails.contexts import CONTEXT


def test_a_sandbox_limits_the_disk_though_the_file_names_no_limit_and_decisions_show_it() -> None:
    text = """\
version: 1
profiles:
  usual: {executor: agent, sandbox: bwrap}
  small: {executor: agent, sandbox: bwrap, disk: 20MiB}
  free: {executor: agent, sandbox: none}
jobs: {one: {profile: usual, gates: [tests]}, two: {profile: small}, three: {profile: free}}
gates: {tests: {run: [make], sandbox: bwrap}}
"""
    jobs = parse_rails(text, CONTEXT).jobs
    assert [job.profile.box and job.profile.box.disk for job in jobs.values()] == [4 * 2**30, 20 * 2**20, None]
    assert jobs["one"].gates[0].box == SandboxSpec(disk=4 * 2**30)
    assert [job.held.because for job in jobs.values()] == [
        "profile usual, whose sandbox may write 4 GiB",
        "profile small, whose sandbox may write 20 MiB",
        "profile free",
    ]


def test_every_key_is_compiled(every_word: str) -> None:
    book = parse_rails(every_word, CONTEXT)
    mend, caged = book.jobs["mend"], book.profiles["caged"]
    assert (mend.line, mend.tries, mend.on_interrupt, mend.needs) == (25, 2, "retry", frozenset({"repo:write"}))
    assert (mend.profile.line, mend.profile.timeout, mend.profile.env) == (8, 90.0, ("LANG_SERVER",))
    assert [gate.name for gate in mend.gates] == ["scope", "unit"]
    unit = book.gates["unit"]
    assert (unit.run, unit.builtin, unit.timeout, unit.retries) == (("make", "test"), None, 120.0, 1)
    assert (unit.required, unit.from_base, unit.env, unit.sandbox) == (False, ("Makefile",), ("CI_SEED",), "none")
    assert (caged.sandbox, caged.tools, caged.model) == ("bwrap", ("read",), "some/model")
    assert caged.box == SandboxSpec(network=False, mounts=("/opt/tools",), memory=2**31, processes=64, disk=2**30)
    assert (mend.profile.sandbox, mend.profile.box) == ("none", None)
    assert caged.timeout == 1800.0
    assert book.gates["scope"].timeout == 600.0
    assert (book.limits.total, book.limits.per_repo) == (4, 1)
    assert [(rate.name, rate.most, rate.window) for rate in book.limits.rates] == [
        ("per_sender", 6, 3_600_000),
        ("per_repo", 30, 86_400_000),
        ("per_thread", 4, 60_000),
    ]
