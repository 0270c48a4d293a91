"""Print the JSON Schema of rails.yaml: python -m tools.rails_schema > config/rails.schema.json."""

import sys

from stitcherd.gates import BUILTINS
from stitcherd.rails.json_schema import schema_file

if __name__ == "__main__":
    sys.stdout.buffer.write(schema_file(BUILTINS))
