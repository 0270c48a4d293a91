"""Runs the cases of a policy: `python -m stitcherd.rails_check`, by `stitcher rails test`.

The result is one line of JSON, a CaseReport. Nothing is asked of a daemon or a forge.
"""

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

import msgspec

from shared.checks import CaseReport
from stitcherd.config.load import SettingsError, load_settings
from stitcherd.configuration import SUPPORTED_KINDS, rails_context
from stitcherd.jobs.rails_cases import run_cases
from stitcherd.rails.cases import load_cases
from stitcherd.rails.load import RailsError, load_rails


def main(argv: Sequence[str] | None = None) -> int:
    """Run all cases; return 2 if a file cannot be read, with its faults on stderr."""
    parser = ArgumentParser(prog="python -m stitcherd.rails_check", description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--rails", type=Path, required=True)
    parser.add_argument("file", type=Path)
    options = parser.parse_args(argv)
    try:
        settings = load_settings(options.config, SUPPORTED_KINDS)
        rails = load_rails(options.rails, rails_context(options.config, settings))
        results = run_cases(load_cases(options.file), rails, settings)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except RailsError as error:
        print(*error.lines, sep="\n", file=sys.stderr)
        return 2
    print(msgspec.json.encode(CaseReport(str(options.file), rails.revision, results)).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
