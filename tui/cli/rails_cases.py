"""`stitcher rails test`: lets the daemon's side decide the cases of a policy, and prints what came of each."""

from argparse import Namespace
from pathlib import Path

import msgspec

from shared import locations
from shared.checks import CaseReport
from tui.cli import exits
from tui.cli.doctor.daemon_checks import run_module
from tui.cli.doctor.settings import read_settings
from tui.cli.terminal import Terminal
from tui.text.jobs import counted
from tui.text.plain import plain

_TIMEOUT = 60.0  # seconds


def run_cases(options: Namespace, terminal: Terminal) -> int:
    """Print a line for each case; return 1 if one fails, 2 if a file is not valid."""
    config = locations.config_dir(options.config)
    file = Path(options.file or config / locations.RAILS_TEST_FILE).absolute()
    if options.file is None and not file.exists():
        terminal.note(f"stitcher: there are no cases yet: write them into {plain(str(file))}, or name another file")
        return exits.USAGE
    rails = Path(options.rails or config / locations.RAILS_FILE).absolute()
    words = ("--config", str(config), "--rails", str(rails), "--", str(file))
    done = run_module("stitcherd.rails_check", words, read_settings(config), _TIMEOUT)
    if done is None:
        terminal.note(f"stitcher: {plain(str(file))} was not finished within {_TIMEOUT:g} s")
        return exits.FAILED
    if done.returncode != 0:
        for line in done.stderr.decode("utf-8", "replace").splitlines():
            terminal.note(plain(line))
        return exits.USAGE if done.returncode == exits.USAGE else exits.FAILED
    report = msgspec.json.decode(done.stdout, type=CaseReport)
    failed = sum(not each.ok for each in report.items)
    if options.json:
        terminal.document(done.stdout)
    else:
        _print_cases(report, terminal)
        outcome = f"{counted(failed, 'case')} failed" if failed else "all passed"
        terminal.note(f"{counted(len(report.items), 'case')} under {plain(report.revision)}: {outcome}")
    return exits.FAILED if failed else exits.OK


def _print_cases(report: CaseReport, terminal: Terminal) -> None:
    for each in report.items:
        if each.ok:
            terminal.data(f"{terminal.paint('✓', 'green')} {plain(each.name)}")
            continue
        terminal.data(f"{terminal.paint('✗', 'red')} {plain(each.name)}  ({plain(Path(report.file).name)}:{each.line})")
        terminal.data(f"    expected {plain(each.expected)}")
        terminal.data(f"    found    {plain(each.found)}")
