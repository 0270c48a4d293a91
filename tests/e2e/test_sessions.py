"""The tries of an attempt are one session of the agent; after a kill the next attempt begins one of its own."""

from tests.e2e.conftest import BuildDaemon
from tests.e2e.harness import wait_until

RAILS = """\
version: 1
profiles: {weaver: {capabilities: [repo:read, repo:write, git:commit], executor: claude, timeout: 1m}}
jobs:
  again: {profile: weaver, needs: [repo:write, git:commit], gates: [done], tries: 2, on_interrupt: retry}
gates:
  done: {run: [sh, -c, "echo not done; test -e done"]}
"""
AGENT = """\
#!/bin/sh
# Ends its first try without having done it, and hangs in the second one of the first attempt.
place=$STITCHER_ATTEMPT.$STITCHER_TRY
cat > $0-prompt-$place
echo "$place $*" >> $0-starts
echo '{"type":"system","subtype":"init","session_id":"s-'$STITCHER_ATTEMPT'"}'
case $place in
  1.2) sleep 63 ;;
  2.2) touch done ;;
esac
echo '{"type":"result","subtype":"success","is_error":false,"result":"ok"}'
"""


def test_a_kill_in_a_resumed_try_starts_nothing_twice_and_the_next_attempt_has_a_new_session(
    build: BuildDaemon,
) -> None:
    daemon = build(rails=RAILS)
    agent = daemon.root / "agent"
    agent.touch(mode=0o700)
    agent.write_text(AGENT)
    daemon.configure(f'[executors.claude]\nkind = "command"\nargv = ["{agent}"]\noutput = "claude"\nresume = true\n')
    daemon.start()
    job_id = daemon.dispatch("again", "Do it.")
    wait_until(lambda: daemon.has_process("sleep\x0063"), "the second try")
    daemon.kill()
    daemon.start()
    assert not daemon.has_process("sleep\x0063")
    job = daemon.wait(job_id, "COMPLETED")
    starts = (daemon.root / "agent-starts").read_text().splitlines()
    assert starts == ["1.1 ", "1.2 --resume s-1", "2.1 ", "2.2 --resume s-2"]
    first = next(step for step in job["steps"] if step["type"] == "AI_ACTION")
    path = f"/runner-jobs/{job_id}/steps/{first['id']}/log"
    raw = daemon.request("GET", f"{path}?raw=true").body
    assert raw.startswith(b'{"type":"system","subtype":"init","session_id":"s-1"}\n')
    assert b"subtype" not in daemon.request("GET", path).body
    news_step = [step for step in job["steps"] if step["type"] == "AI_ACTION"][-1]
    path = f"/runner-jobs/{job_id}/steps/{news_step['id']}/conversation"
    conversation = daemon.request("GET", path).body.decode()
    assert conversation.startswith("=== prompt ===\nThis is try 2.")
    assert conversation.endswith("=== output ===\n[session s-2 is resumed]\n")
    part = daemon.request("GET", path, headers={"Range": "bytes=-3"})
    assert (part.status, part.body) == (206, b"d]\n")
    assert daemon.request("GET", path, headers={"Range": f"bytes={len(conversation.encode())}-"}).status == 416
    gate = next(step for step in job["steps"] if step["type"] == "GATE")
    assert daemon.request("GET", f"/runner-jobs/{job_id}/steps/{gate['id']}/log?raw=true").status == 404
    assert daemon.request("GET", f"/runner-jobs/{job_id}/steps/{gate['id']}/conversation").status == 404
    assert daemon.request("GET", f"/runner-jobs/{job_id}/steps/{gate['id']}/log?raw=yes").status == 422
    told = [(it["type"], it["payload"]["session"]) for it in job["events"] if it["type"].startswith("ai.session")]
    assert told == [("ai.session_resumed", "s-1"), ("ai.session_resumed", "s-2")]
    whole, news = ((daemon.root / f"agent-prompt-2.{number}").read_text() for number in (1, 2))
    assert "Do it." in whole
    assert "Do it." not in news
    assert "> not done" in news
    daemon.wait_until_clean()
