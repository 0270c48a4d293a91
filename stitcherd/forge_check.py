"""Asks the forge of each named source whose its credential is: `python -m stitcherd.forge_check`, run by the doctor.

The result is a line of JSON for each, a ForgeReport. Sources without an API or a credential are left out.
"""

import asyncio
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from pathlib import Path

import msgspec

from shared.forge_check import ForgeReport
from shared.ids import now_ms
from stitcherd.config.load import SettingsError, load_settings
from stitcherd.config.settings import SourceSettings
from stitcherd.daemon import SUPPORTED_KINDS
from stitcherd.forges.app_credentials import AppUnusable
from stitcherd.forges.base import Response
from stitcherd.forges.connections import ForgeConnection, has_credential, load_app_key
from stitcherd.forges.models import Account
from stitcherd.forges.outcome import Done, Outcome, Rejected

_EXPIRY = "GitHub-Authentication-Token-Expiration"


def main(argv: Sequence[str] | None = None) -> int:
    """Check the named sources; return 2 if the settings cannot be read."""
    parser = ArgumentParser(prog="python -m stitcherd.forge_check", description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("sources", nargs="*")
    options = parser.parse_args(argv)
    try:
        settings = load_settings(options.config, SUPPORTED_KINDS)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    named = [source for name, source in settings.sources.items() if name in options.sources]
    for report in asyncio.run(check_all(named)):
        print(msgspec.json.encode(report).decode())
    return 0


async def check_all(sources: Sequence[SourceSettings]) -> list[ForgeReport]:
    """Return a report on each source that has an API and a credential."""
    return await asyncio.gather(*(_check(each) for each in sources if has_credential(each)))


async def _check(source: SourceSettings) -> ForgeReport:
    responses: list[tuple[int, Response]] = []
    try:
        key = load_app_key(source)
    except AppUnusable as error:
        return ForgeReport(source.name, error=str(error))
    connection = ForgeConnection(
        source, key, on_secret=lambda _: None, on_response=lambda response: responses.append((now_ms(), response))
    )
    try:
        report = _report(source.name, await connection.api.identify())
    finally:
        await connection.close()
    if not responses:
        return report
    received, last = responses[-1]
    return msgspec.structs.replace(
        report, expires=last.headers.get(_EXPIRY), clock_ahead=_seconds_ahead(received, last.headers.get("Date", ""))
    )


def _report(name: str, outcome: Outcome[Account]) -> ForgeReport:
    match outcome:
        case Done(account):
            return ForgeReport(name, account.login, account.id)
        case Rejected(_, detail, hint):
            return ForgeReport(name, error=detail, hint=hint)
        case _:
            return ForgeReport(name, error=outcome.reason)


def _seconds_ahead(received: int, date: str) -> int | None:
    try:
        return round(received / 1000 - parsedate_to_datetime(date).timestamp())
    except (ValueError, OverflowError):
        return None


if __name__ == "__main__":
    sys.exit(main())
