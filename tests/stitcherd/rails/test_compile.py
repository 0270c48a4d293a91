from stitcherd.rails.load import parse_rails
from stitcherd.sandbox.bubblewrap import SandboxSpec
from tests.stitcherd.rails.contexts import CONTEXT


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
