"""The rails that histories change: what they allow of a comment by a member, and what needs a person."""

OPEN = """
version: 1
people:
  team: {users: ["hub:octocat"]}
  chiefs: {users: ["hub:chief"]}
profiles:
  weaver: {capabilities: [repo:read, repo:write, git:commit, issue:comment], executor: agent}
jobs:
  fix: {profile: weaver, needs: [repo:write, git:commit], gates: [scope], tries: 2, on_interrupt: retry}
triggers:
  - {id: on-command, on: [issue.comment], command: fix, from: [team], job: fix}
gates:
  scope: {builtin: diff-rules}
paths:
  protected: [".github/**"]
  tests: {globs: ["tests/**"], on_edit: require-approval}
report: {thread: single-comment}
"""
GUARDED = f"""{OPEN}
guards:
  - {{id: outsider, if: {{author_of: [issue], not_in: [team]}}, then: require-approval, by: [chiefs]}}
"""
RAILS = {
    "open": OPEN,
    "guarded": GUARDED,
    "guarded otherwise": GUARDED.replace("outsider", "stranger"),
    "closed": OPEN.replace("hub:octocat", "hub:nobody"),
    "asking": OPEN.replace('{users: ["hub:octocat"]}', "{permission: write}"),
    "observing": f"{OPEN}mode: observe\n",
    "failing": OPEN.replace("on_interrupt: retry", "on_interrupt: fail"),
}
GUARDS = ["guarded", "guarded otherwise"]
