"""A fake gateway that speaks the protocol of a real one, and can misbehave."""

import asyncio
import hashlib
import json
import re
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

from stitcherd.executors.openclaw.connection import GatewayAddress

TOKEN = "right"
SCRIPT_PATTERN = re.compile(r"<play>(.*)</play>|(\[.*\])", re.DOTALL)
ENDED_RUN = {"endedAt": 2, "status": "ok", "stopReason": "stop", "livenessState": "working"}
ANSWERED_RUN = {**ENDED_RUN, "terminalReply": {"disposition": "visible", "text": "done"}}


class ErrorAnswer(Exception):
    def __init__(self, code: str, message: str = "no", *, retryable: bool = False) -> None:
        super().__init__(message)
        self.answer = {"code": "INVALID_REQUEST", "message": message, "details": {"code": code}, "retryable": retryable}


def steps_in(prompt: str) -> list[Any]:
    """Return the steps that a prompt scripts."""
    found = SCRIPT_PATTERN.search(prompt)
    return json.loads(found[1] or found[2]) if found else []


class FakeGateway:
    """Keeps sessions and runs as dictionaries; `answers` overrides the answers of methods.

    A prompt is a JSON list of steps, which may stand between <play> and </play>, or a text without steps:
    ["say", text], ["tool", name, error], ["use", input, output, usd], ["turn"], ["write", file] the prompt,
    ["wait", seconds], ["hold"] until the test sets `released`, and ["end", answer of agent.wait].
    """

    def __init__(self) -> None:
        self.boot = "boot-1"
        self.protocol = 4
        self.policy: dict[str, Any] = {"maxPayload": 100_000, "tickIntervalMs": 30_000}
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[str, Callable[[dict[str, Any]], Any]] = {}
        self.entries: dict[str, Any] = {}
        self.approvals: dict[str, Any] = {"version": 1}
        self.extra: list[str] = []
        self.script: list[Any] = []  # played instead of the steps in prompts
        self.sessions: dict[str, dict[str, Any]] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.held = asyncio.Event()
        self.released = asyncio.Event()
        self.sockets: set[web.WebSocketResponse] = set()
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.port = 0
        self._runner: web.AppRunner | None = None

    @property
    def address(self) -> GatewayAddress:
        return GatewayAddress(f"ws://127.0.0.1:{self.port}", TOKEN)

    def params_of(self, method: str) -> list[dict[str, Any]]:
        return [params for name, params in self.requests if name == method]

    async def open(self) -> None:
        app = web.Application()
        app.router.add_get("/", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        await self.drop()
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()

    async def crash(self, *, resumes: bool = False) -> None:
        """Forget all runs, as after SIGKILL; the sessions are kept, and with `resumes` their runs are resumed."""
        for run in self.tasks.values():
            run.cancel()
        unfinished = [run for run in self.runs if not self.runs[run]]
        self.runs.clear()
        self.boot = f"{self.boot}+"
        await self.drop()
        for key, session in self.sessions.items():
            if resumes and session.get("active") in unfinished and not session.get("archived"):
                again = uuid.uuid4().hex
                self.tasks[again] = asyncio.create_task(self.play(key, again, session["steps"]))

    async def forget(self) -> None:
        """Forget all runs without a restart."""
        for run in self.tasks.values():
            run.cancel()
        self.runs.clear()
        for session in self.sessions.values():
            session.update(active=None, lastRunId=None, status="")

    async def drop(self) -> None:
        for socket in list(self.sockets):
            await socket.close(code=1006)

    async def tell(self, event: str, payload: dict[str, Any]) -> None:
        for socket in list(self.sockets):
            with suppress(ConnectionError):
                await socket.send_str(json.dumps({"type": "event", "event": event, "payload": payload}))

    async def play(self, key: str, run: str, steps: list[Any], *, number: int = 0) -> None:
        """Play the steps of a run, from the one at `number`, to its end."""
        session, about = self.sessions[key], {"runId": run, "sessionKey": key}
        session["active"] = run
        self.runs[run] = {}
        text = ""
        for step in steps[number:]:
            match step:
                case ["say", said]:
                    text += said
                    data = {"text": text, "delta": said}
                    await self.tell("agent", {**about, "stream": "assistant", "data": data})
                case ["tool", name, error]:
                    item = {"kind": "tool", "name": name, "toolCallId": "c", "title": f"{name} it", "phase": "start"}
                    await self.tell("agent", {**about, "stream": "item", "data": item})
                    end = {**item, "phase": "end", "status": "blocked" if error else "completed"}
                    await self.tell("agent", {**about, "stream": "item", "data": {**end, "error": error}})
                case ["turn"]:
                    data = {"phase": "model", "model": "m"}
                    await self.tell("agent", {**about, "stream": "lifecycle", "data": data})
                case ["use", taken, given, usd]:
                    usage = {"input": taken, "output": given, "cost": {"total": usd}}
                    marks = {"id": uuid.uuid4().hex, "runId": run}
                    row = {"role": "assistant", "stopReason": "stop", "usage": usage, "__openclaw": marks}
                    session["rows"].append(row)
                    await self.tell("session.message", {"sessionKey": key, "message": row})
                case ["write", name]:
                    Path(session["root"], name).write_text(session["prompt"])
                case ["wait", seconds]:
                    await asyncio.sleep(seconds)
                case ["hold"]:
                    self.held.set()
                    await self.released.wait()
                case ["end", answer]:
                    self.end(key, run, answer)
                    return
        marks = {"id": uuid.uuid4().hex, "runId": run}
        session["rows"].append({"role": "assistant", "stopReason": "stop", "__openclaw": marks})
        self.end(key, run, ANSWERED_RUN)

    def end(self, key: str, run: str, answer: dict[str, Any]) -> None:
        session = self.sessions[key]
        status = "done" if answer["status"] == "ok" else "killed"
        session.update(active=None, lastRunId=run, status=status)
        self.runs[run] = answer

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=0)
        await socket.prepare(request)
        await socket.send_str(json.dumps({"type": "event", "event": "connect.challenge", "payload": {"nonce": "n"}}))
        asking: set[asyncio.Task[None]] = set()
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                asking.add(asyncio.create_task(self._answer(socket, json.loads(message.data))))
        self.sockets.discard(socket)
        for each in asking:
            each.cancel()
        return socket

    async def _answer(self, socket: web.WebSocketResponse, frame: dict[str, Any]) -> None:
        method, params = frame["method"], frame["params"]
        self.requests.append((method, params))
        answer: dict[str, Any] = {"type": "res", "id": frame["id"], "ok": True}
        try:
            handle = self.answers.get(method) or getattr(self, "_" + method.replace(".", "_"))
            payload = handle(params)
            if asyncio.iscoroutine(payload):
                payload = await payload
            answer["payload"] = payload
        except ErrorAnswer as no:
            answer |= {"ok": False, "error": no.answer}
        if method == "connect" and answer["ok"]:
            self.sockets.add(socket)
        if not socket.closed:
            await socket.send_str(json.dumps(answer))

    def _connect(self, params: dict[str, Any]) -> Any:
        if params["auth"].get("token") != TOKEN:
            raise ErrorAnswer("AUTH_TOKEN_MISMATCH", "unauthorized: gateway token mismatch")
        server = {"version": "2026.9.6", "bootId": self.boot}
        return {"type": "hello-ok", "protocol": self.protocol, "server": server, "policy": self.policy, "new": 1}

    def _config_get(self, _: dict[str, Any]) -> Any:
        config = {"agents": {"entries": self.entries}}
        return {"hash": hashlib.sha256(json.dumps(config).encode()).hexdigest(), "sourceConfig": config}

    def _config_patch(self, params: dict[str, Any]) -> Any:
        self.entries |= json.loads(params["raw"])["agents"]["entries"]
        return {"ok": True}

    def _exec_approvals_get(self, _: dict[str, Any]) -> Any:
        return {"hash": str(len(self.requests)), "file": self.approvals}

    def _exec_approvals_set(self, params: dict[str, Any]) -> Any:
        self.approvals = params["file"]
        return {}

    def _sessions_create(self, params: dict[str, Any]) -> Any:
        session = self.sessions.setdefault(params["key"], {"sessionId": uuid.uuid4().hex, "rows": [], "status": ""})
        session["root"] = params["cwd"]
        entry = {"permissionMode": params["permissionMode"], "sessionRoot": params["cwd"]}
        return {"sessionId": session["sessionId"], "entry": entry}

    async def _sessions_patch(self, params: dict[str, Any]) -> Any:
        session = self.sessions[params["key"]]
        assert params["expectedSessionId"] == session["sessionId"]
        session["archived"] = params["archived"]
        run = session.get("active")
        if params["archived"] and run:
            self.tasks[run].cancel()
            self.end(params["key"], run, {"status": "error", "endedAt": 2, "stopReason": "archive"})
        return {}

    def _tools_effective(self, params: dict[str, Any]) -> Any:
        allowed = self.entries[params["sessionKey"].split(":")[1]]["tools"].get("allow", [])
        return {"groups": [{"tools": [{"id": name} for name in [*allowed, *self.extra]]}]}

    def _sessions_messages_subscribe(self, _: dict[str, Any]) -> Any:
        return {"subscribed": True}

    def _agent(self, params: dict[str, Any]) -> Any:
        key, run = params["sessionKey"], params["idempotencyKey"]
        if self.sessions[key].get("archived"):
            raise ErrorAnswer("ARCHIVED", "it is archived")
        if run not in self.runs:
            steps = self.script or steps_in(params["message"])
            self.sessions[key].update(status="running", lastRunId=None, steps=steps, prompt=params["message"])
            self.tasks[run] = asyncio.create_task(self.play(key, run, steps))
        return {"runId": run, "status": "accepted"}

    async def _agent_wait(self, params: dict[str, Any]) -> Any:
        until = asyncio.get_running_loop().time() + params["timeoutMs"] / 1000
        while asyncio.get_running_loop().time() < until:
            if ended := self.runs.get(params["runId"]):
                return ended
            await asyncio.sleep(0.01)
        return {"runId": params["runId"], "status": "timeout"}

    def _chat_history(self, params: dict[str, Any]) -> Any:
        session = self.sessions[params["sessionKey"]]
        active = session.get("active")
        return {"messages": session["rows"]} | ({"inFlightRun": {"runId": active}} if active in self.runs else {})

    def _sessions_describe(self, params: dict[str, Any]) -> Any:
        if params["key"] not in self.sessions:
            return {"session": None}
        session = {key: value for key, value in self.sessions[params["key"]].items() if key != "rows"}
        return {"session": session}
