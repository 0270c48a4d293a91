"""The verbs of `stitcher` with their summaries.

To add one, add a line here and a module of its name with `arguments(parser)` and `run(options, terminal) -> exit code`.
"""

VERBS = {
    "tui": "open the full-screen interface",
    "ls": "list jobs, newest first",
    "show": "show one job: its steps, last events and result",
    "tail": "print events, a line each; with -f as they happen",
    "wait": "wait until a job has ended; the exit code tells its result",
    "why": "show the decision behind a job or a delivery, check by check",
    "dispatch": "start a job manually",
    "cancel": "cancel jobs",
    "retry": "run failed or cancelled jobs again",
    "approve": "approve a job that waits for an approval",
    "deny": "deny a job that waits for an approval",
    "deliveries": "list, show and replay the webhooks that were received",
    "answers": "list what is to be at the forges and what became of it, and send one again",
    "stats": "show what became of jobs, how long they took and what they cost",
    "accounts": "list the ids that are kept for logins of the rails, and accept another one",
    "audit": "verify that no event was changed or removed, or export all of them",
    "token": "create a bearer token for the API over TCP",
    "pause": "stop new jobs from starting; what arrives is queued",
    "resume": "let jobs start again",
    "rails": "the policy: check a file, show the one in force, simulate a change, print its schema",
    "init": "write a configuration to start from",
    "doctor": "check everything that can keep Stitcher from working here",
    "bundle": "save a job and everything known about it in one file",
    "completion": "print the completion script for bash, zsh or fish",
    "demo": "watch a signed webhook become a tested commit, in a temporary directory",
    "version": "print the versions of this client and of the daemon",
}
