"""Tests the connection to an agent: any bytes may arrive, in any pieces."""

import asyncio
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stitcherd.executors.acp import wire
from stitcherd.executors.acp.wire import END_OF_MESSAGES, AgentConnection, AgentLost
from stitcherd.processes import StdinWriter


async def received(connection: AgentConnection) -> list[str | None]:
    """Return the methods of all messages that have arrived."""
    connection.end_messages()
    methods = []
    while (message := await connection.next_message()) is not END_OF_MESSAGES:
        methods.append(message.method)
    return methods


@given(
    st.lists(st.binary() | st.sampled_from([b'{"method":"m"}', b'{"id":1,"result":2}', b"\n", b"[", b'"']), max_size=20)
)
def test_any_bytes_are_messages_or_unreadable_lines(pieces: list[bytes]) -> None:
    async def feed() -> None:
        unreadable: list[bytes] = []
        connection = AgentConnection(lambda _line, _message: None, unreadable.append)
        for piece in pieces:
            connection.feed(piece)
        connection.feed(b'\n{"method":"last"}\n')
        methods = await received(connection)
        assert methods[-1] == "last"
        lines = [line for line in b"".join(pieces).split(b"\n") if line.strip()]
        assert len(methods) - 1 + len(unreadable) <= len(lines)

    asyncio.run(feed())


async def test_a_line_that_is_too_long_is_discarded_and_the_next_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "LINE_MAX", 40)
    unreadable: list[bytes] = []
    connection = AgentConnection(lambda _line, _message: None, unreadable.append)
    for piece in (b'{"method":"', b"a" * 40, b"a" * 40, b'"}\n{"method"', b':"next"}\n'):
        connection.feed(piece)
    assert await received(connection) == ["next"]
    assert len(unreadable) == 1


async def test_messages_are_kept_up_to_a_limit_and_those_that_were_handled_do_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    message = b'{"method":"m"}'
    monkeypatch.setattr(wire, "WAITING_MAX", 2 * len(message))
    connection = AgentConnection(lambda _line, _message: None, lambda _: None)
    for _ in range(5):
        connection.feed(message + b"\n")
        assert (await connection.next_message()).method == "m"
    connection.feed((message + b"\n") * 3)
    with pytest.raises(AgentLost, match="more than could be recorded"):
        await connection.request("initialize", {})


async def test_an_agent_that_does_not_read_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "WAITING_MAX", 1000)
    reading, writing = os.pipe()
    stdin = StdinWriter(os.fdopen(writing, "wb", buffering=0))
    connection = AgentConnection(lambda _line, _message: None, lambda _: None)
    connection.open(stdin)
    with pytest.raises(AgentLost, match="does not read"):
        await connection.request("session/prompt", {"prompt": "x" * 2000})
    stdin.close()
    os.close(reading)
