"""What the rails of the tests are checked against."""

from stitcherd.gates import BUILTINS
from stitcherd.rails.requirements import ExecutorFacts
from stitcherd.rails.validate import RailsContext

CONTEXT = RailsContext(BUILTINS)
CAPABLE = ExecutorFacts(holds_tools=True, sandboxable=True, metered=True)

SMALL = """\
version: 1
people:
  crew: {users: ["forge:ann"]}
profiles:
  careful: {capabilities: [repo:write], executor: smith}
jobs:
  mend: {profile: careful, needs: [repo:write]}
triggers:
  - {id: word, on: [issue.comment, change.comment], command: mend, from: [crew], job: mend}
"""
