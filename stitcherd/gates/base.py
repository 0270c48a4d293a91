"""The interface of a gate: its result, and what a built-in gate is given and declares."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from msgspec import Struct

from stitcherd.git.checkout import Checkout
from stitcherd.rails.compiled import GateRule

Write: TypeAlias = Callable[[bytes], None]  # appends to the output of the gate's step


class GateResult(Struct, frozen=True):
    """The result of one gate; `reason` is a sentence.

    `flaky` says that the gate passed only in a retry. `asks` has the parts of the rails that require the approval of a
    person before the commit is published, like `paths.tests`. `cannot_start` says that nothing was checked.
    """

    ok: bool
    reason: str
    exit_code: int | None = None  # negative: ended by that signal
    flaky: bool = False
    asks: tuple[str, ...] = ()
    cannot_start: bool = False


class GateInput(Struct, frozen=True):
    """What a built-in gate checks: a commit on the base of its checkout, by the rule of the rails.

    `commit` is None if nothing was changed. `mask_secrets` returns data with the secrets of the job replaced.
    """

    checkout: Checkout
    commit: str | None
    rule: GateRule
    mask_secrets: Callable[[bytes], bytes]


class BuiltinGate(Struct, frozen=True):
    """A gate that runs in the daemon; `enforces_paths` declares that it enforces `paths` of the rails."""

    run: Callable[[GateInput, Write], Awaitable[GateResult]]
    enforces_paths: bool = False
