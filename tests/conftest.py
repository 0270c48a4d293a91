"""Settings of all tests: Hypothesis tries the same examples in every run, so that results are reproducible.

STITCHER_EXPLORE=1 make test        tries other examples, and keeps failing ones in .hypothesis
"""

import os

from hypothesis import settings

settings.register_profile("reproducible", derandomize=True)
if not os.environ.get("STITCHER_EXPLORE"):
    settings.load_profile("reproducible")
