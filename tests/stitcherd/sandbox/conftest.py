"""The host on which hostile agents are let loose."""

import contextlib
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.stitcherd.sandbox.sandbox_host import FILES, SandboxHost, start_process


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[SandboxHost]:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    with contextlib.ExitStack() as closing:
        listener = closing.enter_context(socket.socket(socket.AF_UNIX))
        state = os.open(tmp_path / "state", os.O_RDONLY)
        closing.callback(os.close, state)
        listener.bind(f"/proc/self/fd/{state}/socket")  # the path of a socket is limited to 107 bytes
        listener.listen()
        port = closing.enter_context(socket.create_server(("127.0.0.1", 0)))
        abstract = closing.enter_context(socket.socket(socket.AF_UNIX))
        abstract.bind(f"\0{tmp_path.name}-{os.getpid()}")
        abstract.listen()
        bystander = start_process("sleep", "600", TOKEN="hunter22")
        try:
            name = f"{tmp_path.name}-{os.getpid()}"
            yield SandboxHost(tmp_path, name, port.getsockname()[1], bystander.pid)
        finally:
            bystander.kill()
            bystander.wait()
