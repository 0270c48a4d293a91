"""Decides, pure, what an agent that asks for permission may do: by the kind of the tool call and its locations.

The agent itself says what kind a call is; what contains an agent that does not tell the truth is the sandbox.
"""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

PATHS_MAX = 1000  # of one tool call
PATH_MAX = 4096  # characters; the kernel takes no longer path
HARMLESS_KINDS = frozenset({"read", "search", "think"})
WRITING_KINDS = frozenset({"edit", "delete", "move"})
CAPABILITY_OF_KIND = {**dict.fromkeys(WRITING_KINDS, "repo:write"), "execute": "exec:run", "fetch": "net:any"}


class ToolCall(Struct, frozen=True, kw_only=True):
    """A tool call as the agent describes it; `paths` are the files that it says it works on."""

    id: str
    kind: str = "other"
    title: str = ""
    paths: tuple[str, ...] = ()


def denial_reason(call: ToolCall, capabilities: Collection[str], checkout: Path) -> str | None:
    """Return why a profile with these capabilities does not allow a call, or None if it does."""
    if call.kind in HARMLESS_KINDS:
        return None
    capability = CAPABILITY_OF_KIND.get(call.kind)
    if capability is None:
        return f"no capability allows a tool call of the kind {call.kind}"
    if capability not in capabilities:
        return f"the profile does not have the capability {capability}"
    return _paths_fault(call.paths, checkout) if call.kind in WRITING_KINDS else None


def choose_option(options: Any, *, allowed: bool) -> str | None:
    """Return the id of the option that answers for this one call, or None if the agent offers none."""
    wanted = "allow_once" if allowed else "reject_once"
    for option in options if isinstance(options, Sequence) else ():
        if isinstance(option, dict) and option.get("kind") == wanted and isinstance(option.get("optionId"), str):
            return str(option["optionId"])
    return None


def _paths_fault(paths: Sequence[str], checkout: Path) -> str | None:
    """Return why these files may not be changed, or None."""
    if not paths:
        return "the agent does not say which files it would change"
    if len(paths) > PATHS_MAX:
        return f"the call names more than {PATHS_MAX:,} files"
    outside = next((path for path in paths if not _is_inside(path, checkout)), None)
    return None if outside is None else f"{outside[:PATH_MAX]} is not inside the checkout"


def _is_inside(path: str, checkout: Path) -> bool:
    if len(path) > PATH_MAX:
        return False
    root = checkout.resolve()
    try:
        target = Path(root, path).resolve()
    except (OSError, ValueError, RuntimeError):  # a name that is too long, a NUL byte, a loop of links
        return False
    return target != root and target.is_relative_to(root)
