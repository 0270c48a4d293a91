"""The streams that agents' programs write, by `output` of stitcherd.toml; another is one module and one line here."""

from collections.abc import Mapping

from stitcherd.executors.streams.base import AgentStream
from stitcherd.executors.streams.claude import ClaudeStream
from stitcherd.executors.streams.codex import CodexStream
from stitcherd.executors.streams.gemini import GeminiStream
from stitcherd.executors.streams.opencode import OpenCodeStream

STREAMS: Mapping[str, type[AgentStream]] = {
    "claude": ClaudeStream,
    "codex": CodexStream,
    "gemini": GeminiStream,
    "opencode": OpenCodeStream,
}
HOLD_TOOLS = frozenset({"claude"})  # their programs are given the tools of the profile
TELL_DOLLARS = frozenset({"claude"})  # OpenCode tells 0 if it has no prices for its model; the others only tokens
