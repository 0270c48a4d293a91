"""What holds for all tests: hypothesis tries the same examples in each run, so that a change is judged by itself.

STITCHER_EXPLORE=1 make test        tries others, and keeps what it finds in .hypothesis
"""

import os

from hypothesis import settings

settings.register_profile("the same each time", derandomize=True)
if not os.environ.get("STITCHER_EXPLORE"):
    settings.load_profile("the same each time")
