"""The verbs of `stitcher`: one file each, with `arguments(parser)` and `run(options, terminal) -> exit code`."""

VERBS = {
    "tui": "everything on the full screen",
    "ls": "list jobs, newest first",
    "show": "one job: its steps, its last events, what came of it",
    "tail": "events, a line each; with -f as they happen",
    "wait": "until a job has ended; the exit code says how",
    "why": "the decision behind a job or a delivery, check by check",
    "dispatch": "start a job by hand",
    "cancel": "stop jobs",
    "retry": "run failed or cancelled jobs again",
    "approve": "let a job run that waits for an approval",
    "deny": "never let a job run that waits for an approval",
    "deliveries": "the webhooks that came in, and what was made of them",
    "token": "a bearer token for the API over TCP",
    "pause": "let nothing new start; what comes in waits",
    "resume": "let jobs start again",
    "rails": "the policy: check a file, show what is in force, simulate a change, print its schema",
    "init": "a configuration to begin with",
    "demo": "watch a signed webhook become a tested commit, in a directory of its own",
    "version": "the versions of this client and of the daemon",
}
