"""A scripted model server for tests: it serves the chat completions of OpenAI, and the prompt says what to answer.

A prompt that contains `<play>[STEP, …]</play>` is answered step by step, one for each call of the model in that turn,
and with the text "done" after the last. A step is an object with any of

    say     text of the answer; with `tool` it comes before the call
    tool    the name of a tool to call, with `args`
    wait    seconds before the first byte
    slowly  seconds between two words of `say`
    status  an HTTP status to fail with instead
    tokens  [of the prompt, of the answer], otherwise [100, 10]
    name    the name of the script in `GET /asked`; in its first step
"""

import asyncio
import json
import re
import secrets
from contextlib import suppress
from typing import Any, NamedTuple

from aiohttp import ClientConnectionResetError, web

PLAY = re.compile(r"<play>(.*?)</play>", re.DOTALL)


class ScriptPosition(NamedTuple):
    """The position of a call in a script; `fresh` means that nothing follows the prompt yet."""

    steps: list[dict[str, Any]]
    played: int
    fresh: bool


def find(messages: list[dict[str, Any]]) -> ScriptPosition:
    """Return the newest script, and its position according to the answers that follow."""
    for at, message in reversed(list(enumerate(messages))):
        found = PLAY.findall(text(message)) if message["role"] == "user" else []
        if found:
            played = sum(later["role"] == "assistant" for later in messages[at:])
            return ScriptPosition(json.loads(found[-1]), played, at == len(messages) - 1)
    return ScriptPosition([{"say": "There was no script."}], 0, fresh=True)


def text(message: dict[str, Any]) -> str:
    """Return the text of a message, which may consist of parts."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content)


async def complete(request: web.Request) -> web.StreamResponse:
    """Answer `POST /v1/chat/completions`, always as a stream: the gateway requests nothing else."""
    asked = await request.json()
    steps, played, fresh = find(asked["messages"])
    step: dict[str, Any] = steps[played] if played < len(steps) else {"say": "done"}
    prompts = sum(message["role"] == "user" for message in asked["messages"])
    name = steps[0].get("name") if steps else None
    request.app[ASKED].append({"name": name, "step": played, "fresh": fresh, "prompts": prompts})
    await asyncio.sleep(step.get("wait", 0))
    if "status" in step:
        return web.json_response({"error": {"message": "the script says so"}}, status=step["status"])
    stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    with suppress(ClientConnectionResetError):  # the gateway was killed
        await _play(stream, request, step)
    return stream


async def _play(stream: web.StreamResponse, request: web.Request, step: dict[str, Any]) -> None:
    await stream.prepare(request)
    head = {"id": f"play-{secrets.token_hex(6)}", "object": "chat.completion.chunk", "created": 0, "model": "scripted"}

    async def send(choices: list[dict[str, Any]], **more: Any) -> None:
        await stream.write(b"data: " + json.dumps({**head, "choices": choices, **more}).encode() + b"\n\n")

    for word in re.findall(r"\S+\s*", step.get("say", "")):
        await send([{"index": 0, "delta": {"role": "assistant", "content": word}, "finish_reason": None}])
        await asyncio.sleep(step.get("slowly", 0))
    if "tool" in step:
        function = {"name": step["tool"], "arguments": json.dumps(step.get("args", {}))}
        call = {"index": 0, "id": f"call_{secrets.token_hex(5)}", "type": "function", "function": function}
        await send([{"index": 0, "delta": {"role": "assistant", "tool_calls": [call]}, "finish_reason": None}])
    await send([{"index": 0, "delta": {}, "finish_reason": "tool_calls" if "tool" in step else "stop"}])
    prompt, answer = step.get("tokens", [100, 10])
    usage = {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}
    await send([], usage=usage)
    await stream.write(b"data: [DONE]\n\n")


async def asked(request: web.Request) -> web.Response:
    """Answer `GET /asked`: for each call so far the name of its script, its step, whether it was fresh, and prompts.

    `prompts` is how many messages of users it had.
    """
    return web.json_response(request.app[ASKED])


ASKED = web.AppKey("asked", list[dict[str, Any]])


async def serve() -> tuple[web.AppRunner, str]:
    """Serve on a free loopback port; return the runner to clean up, and the URL."""
    app = web.Application(client_max_size=64 << 20)
    app[ASKED] = []
    app.add_routes([web.post("/v1/chat/completions", complete), web.get("/asked", asked)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"
