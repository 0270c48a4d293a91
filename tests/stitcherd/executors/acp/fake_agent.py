"""An agent for tests: it speaks the protocol over its stdin and stdout, and follows a script in each prompt."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def agent_argv(script: list[list[Any]], about: dict[str, Any] | None = None) -> tuple[str, ...]:
    """Return the command that starts an agent with this script, which tells this `about` itself."""
    return (sys.executable, str(Path(__file__)), json.dumps(script), json.dumps(about or {}))


def send(**message: Any) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def receive() -> dict[str, Any]:
    line = sys.stdin.readline()
    if not line:
        raise SystemExit(0)
    message: dict[str, Any] = json.loads(line)
    return message


def update(**fields: Any) -> None:
    send(method="session/update", params={"sessionId": "s", "update": fields})


def ask(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """Send a request, and write its answer to the file `answers`."""
    send(id="a-1", method=method, params=params)
    answer = receive()
    with Path("answers").open("a") as file:
        file.write(json.dumps(answer.get("result", answer.get("error"))) + "\n")
    return answer


def await_cancel(prompt: dict[str, Any]) -> None:
    """Wait for a notification, keep its name in the file `cancelled`, and answer the prompt."""
    Path("cancelled").write_text(receive()["method"])
    send(id=prompt["id"], result={"stopReason": "cancelled"})


def write_raw(digits: str) -> None:
    sys.stdout.buffer.write(bytes.fromhex(digits))
    sys.stdout.flush()


def leave(code: int) -> None:
    sys.stderr.write("first\nthe key is missing\n")
    raise SystemExit(code)


def play(prompt: dict[str, Any], script: list[list[Any]]) -> None:
    """Do one step after the other; `end` and `exit` are the last."""
    steps: dict[str, Callable[..., object]] = {
        "write": lambda name: Path(name).write_text(prompt["params"]["prompt"][0]["text"]),
        "say": lambda text: update(sessionUpdate="agent_message_chunk", content={"type": "text", "text": text}),
        "update": lambda fields: update(**fields),
        "ask": ask,
        "raw": write_raw,
        "child": lambda: subprocess.Popen(["sleep", "60"], start_new_session=True),
        "hang": lambda: time.sleep(60),
        "await-cancel": lambda: await_cancel(prompt),
        "exit": leave,
        "end": lambda reason, more=None: send(id=prompt["id"], result={"stopReason": reason, **(more or {})}),
    }
    for what, *arguments in script:
        steps[what](*arguments)


def main() -> None:
    """Answer requests until stdin is closed."""
    script, about = json.loads(sys.argv[1]), json.loads(sys.argv[2])
    while True:
        request = receive()
        match request["method"]:
            case "initialize":
                send(id=request["id"], result={"protocolVersion": 1, "agentCapabilities": {}, **about})
            case "session/new":
                send(id=request["id"], result={"sessionId": "s"})
            case "session/load" | "session/resume" as method if request["params"]["sessionId"] == "s":
                Path("opened").write_text(method)
                if method == "session/load":
                    update(sessionUpdate="tool_call", toolCallId="old", kind="read", title="before")
                    update(sessionUpdate="agent_message_chunk", content={"type": "text", "text": "said before"})
                send(id=request["id"], result={})
            case "session/load" | "session/resume":
                send(id=request["id"], error={"code": -32002, "message": "Resource not found"})
            case "session/prompt":
                play(request, script)


if __name__ == "__main__":
    main()
