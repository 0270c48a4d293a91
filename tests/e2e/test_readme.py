"""The examples of the README, as they stand there."""

import json
import os
import re
import shutil
import subprocess

import pytest

from tests.e2e.harness import ROOT, DaemonHarness
from tests.e2e.http_client import TIMEOUT
from tests.e2e.webhooks import SECRETS

PROGRAMS = ("curl", "openssl", "sed")


@pytest.mark.skipif(not all(map(shutil.which, PROGRAMS)), reason=f"needs {', '.join(PROGRAMS)}")
def test_a_signed_webhook_can_be_tried_by_curl(daemon: DaemonHarness) -> None:
    (block,) = re.findall(r"^```\n(body=.*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert block.count("127.0.0.1:8466") == 1
    script = block.replace("127.0.0.1:8466", f"127.0.0.1:{daemon.port}")

    def send(secret: str) -> dict[str, str]:
        environ = {"PATH": os.environ["PATH"], "GITHUB_WEBHOOK_SECRET": secret}
        done = subprocess.run(
            ["sh", "-eu", "-c", script], env=environ, capture_output=True, text=True, timeout=TIMEOUT, check=True
        )
        answer: dict[str, str] = json.loads(done.stdout)
        return answer

    answer = send(SECRETS["github"])
    delivery = daemon.get(f"/deliveries/{answer['deliveryId']}")
    assert (delivery["event"], delivery["sender"], delivery["repository"]) == (
        "issue_comment",
        "github:octocat",
        "octo-org/api",
    )
    assert (answer["verdict"], answer["reason"]) == (delivery["verdict"], delivery["reason"])
    assert send("another secret")["code"] == "bad_signature"
