"""The verbs of `stitcher`: one file each, with `arguments(parser)` and `run(options, terminal) -> exit code`."""

VERBS = {
    "ls": "list jobs, newest first",
    "show": "one job: its steps, its last events, what came of it",
    "why": "the decision behind a job or a delivery, check by check",
    "dispatch": "start a job by hand",
    "cancel": "stop jobs",
    "retry": "run failed or cancelled jobs again",
    "demo": "watch a signed webhook become a tested commit, in a directory of its own",
    "version": "the versions of this client and of the daemon",
}
