"""Run a real OpenClaw gateway offline, with a scripted model, until standard input is closed.

    python tools/openclaw/gateway.py DIRECTORY

Prints one line of JSON when it is ready: url, token, model, pid. Then each line on standard input is a command, and
is answered with the same kind of line: `kill` (SIGKILL and start again), `restart` (SIGTERM, let it drain, and start
again), `down` (SIGKILL) and `up`. All state is in DIRECTORY; at the end all processes it started are stopped.
"""

import asyncio
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import model
from install import install

READY_SECONDS = 120
DRAIN_SECONDS = 60
QUIET = {
    "OPENCLAW_DISABLE_BONJOUR": "1",
    "OPENCLAW_NO_RESPAWN": "1",
    "OPENCLAW_SKIP_CHANNELS": "1",
    "OPENCLAW_OFFLINE": "1",
    "OPENCLAW_NO_AUTO_UPDATE": "1",
    "OPENCLAW_EXEC_SHELL_SNAPSHOT": "0",
    "OPENCLAW_ALLOW_MULTI_GATEWAY": "1",
    "NO_COLOR": "1",
}


class Gateway:
    """One gateway on one port; it can be stopped and started again with the same state."""

    def __init__(self, directory: Path, model_url: str) -> None:
        self.directory = directory
        self.model_url = model_url
        self.token = secrets.token_hex(24)
        self.port = free_port()
        self.process: asyncio.subprocess.Process | None = None
        for name in ("home", "state", "workspace"):
            (directory / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        self._configure()

    async def start(self) -> None:
        """Start it, and wait until it is ready; raises TimeoutError with the end of its log."""
        node, entry = install()
        keep = {name: os.environ[name] for name in ("PATH", "LANG", "TZ", "TMPDIR") if name in os.environ}
        home = str(self.directory / "home")
        places = {
            "HOME": home,
            "OPENCLAW_HOME": home,
            "OPENCLAW_STATE_DIR": str(self.directory / "state"),
            "OPENCLAW_CONFIG_PATH": str(self.directory / "openclaw.json"),
        }
        log = self.directory / "gateway.log"
        with log.open("ab") as out:
            self.process = await asyncio.create_subprocess_exec(
                node,
                entry,
                *("gateway", "run", "--port", str(self.port)),
                cwd=self.directory,
                env={**keep, **QUIET, **places},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        try:
            async with asyncio.timeout(READY_SECONDS), aiohttp.ClientSession() as session:
                while not await self._ready(session):  # noqa: ASYNC110 (it is another process)
                    await asyncio.sleep(0.1)
        except TimeoutError as late:
            raise TimeoutError(log.read_text(errors="replace")[-3000:]) from late

    async def stop(self, number: signal.Signals) -> None:
        """Signal it, wait for its exit, and kill the rest of its process group."""
        if self.process is None:
            return
        group = self.process.pid
        with suppress(ProcessLookupError):
            self.process.send_signal(number)
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self.process.wait()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
            await self.process.wait()
            self.process = None

    def facts(self) -> dict[str, Any]:
        """Return what a test needs to connect to it."""
        pid = self.process.pid if self.process else None
        return {"url": f"ws://127.0.0.1:{self.port}", "token": self.token, "model": self.model_url, "pid": pid}

    async def _ready(self, session: aiohttp.ClientSession) -> bool:
        if self.process is not None and self.process.returncode is not None:
            raise TimeoutError(f"the gateway ended with {self.process.returncode}")
        with suppress(aiohttp.ClientError):
            async with session.get(f"http://127.0.0.1:{self.port}/readyz") as answer:
                return answer.status == 200
        return False

    def _configure(self) -> None:
        dollars = {"input": 1, "output": 2, "cacheRead": 0, "cacheWrite": 0}  # per million tokens
        kind = {"input": ["text"], "cost": dollars, "contextWindow": 128000, "maxTokens": 4096, "reasoning": False}
        provider = {
            "baseUrl": f"{self.model_url}/v1",
            "apiKey": "none",
            "api": "openai-completions",
            "models": [{"id": name, "name": name, **kind} for name in ("scripted", "other")],
        }
        config = {
            "gateway": {
                "mode": "local",
                "port": self.port,
                "bind": "loopback",
                "auth": {"mode": "token", "token": self.token},
                "controlUi": {"enabled": False},
            },
            "models": {
                "mode": "replace",
                "catalogRefresh": {"enabled": False},
                # A provider that refused a key is not tried again for a minute, so that test has one of its own.
                "providers": {"play": provider, "refusing": provider},
            },
            "agents": {
                "ownership": "explicit",
                "defaults": {
                    "model": {"primary": "play/scripted"},
                    "skipBootstrap": True,
                    "heartbeat": {"every": "0m", "agentId": "main"},
                    "systemAgent": {"agentId": "main"},
                },
                "entries": {"main": {"workspace": str(self.directory / "workspace")}},
            },
            "logging": {"file": str(self.directory / "openclaw.log")},
            "update": {"checkOnStart": False},
            "telemetry": {"enabled": False},
            "discovery": {"mdns": {"mode": "off"}},
            "cron": {"enabled": False},
            "plugins": {"enabled": False},  # not needed to run an agent; halves the memory
        }
        file = self.directory / "openclaw.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps(config, indent=1))


def free_port() -> int:
    """Return a loopback port that is free at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def main(directory: Path) -> None:
    """Start, run the commands on standard input, stop."""
    commands, loop = asyncio.StreamReader(), asyncio.get_running_loop()
    if task := asyncio.current_task():
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    server, url = await model.serve()
    gateway = Gateway(directory.resolve(), url)
    try:
        await gateway.start()
        print(json.dumps(gateway.facts()), flush=True)
        while command := (await commands.readline()).decode().strip():
            if command in {"kill", "down"}:
                await gateway.stop(signal.SIGKILL)
            if command == "restart":
                await gateway.stop(signal.SIGTERM)
            if command in {"kill", "restart", "up"}:
                await gateway.start()
            print(json.dumps(gateway.facts()), flush=True)
    finally:
        await gateway.stop(signal.SIGKILL)
        await server.cleanup()


if __name__ == "__main__":
    with suppress(asyncio.CancelledError):
        asyncio.run(main(Path(sys.argv[1])))
