"""Asks the forges of the named sources what their credentials may do: `python -m stitcherd.forge_check`, by the doctor.

The result is a line of JSON for each check, a CheckResult. Sources without an API or a credential are left out, and
nothing is changed at a forge.
"""

import asyncio
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import AsyncIterator, Iterator, Sequence
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import msgspec

from shared.checks import CheckResult, info, ok, problem, warning
from shared.ids import now_ms
from stitcherd.config.load import SettingsError
from stitcherd.config.settings import Settings, SourceSettings
from stitcherd.configuration import load_configuration
from stitcherd.forge_rights import ACTIONS, RepositoryToCheck, RightsCheck, failure, needed_calls
from stitcherd.forges.app_credentials import AppUnusable
from stitcherd.forges.base import Forge, Response
from stitcherd.forges.connections import ForgeConnection, has_credential, load_app_key
from stitcherd.forges.models import ForgeAccount, TokenInfo
from stitcherd.forges.outcome import Done, Outcome, Rejected
from stitcherd.polling.repositories import PolledRepositories, polled_repositories
from stitcherd.rails.compiled import CompiledRails

SECONDS_MAX = 25.0  # for all sources together
_REPOSITORIES_MAX = 20  # of a source that are checked
_SKEW_MAX = 30  # seconds; the JWT of an App is refused from about a minute


def main(argv: Sequence[str] | None = None) -> int:
    """Check the named sources; return 2 if the settings cannot be read."""
    parser = ArgumentParser(prog="python -m stitcherd.forge_check", description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--seen", action="append", default=[], metavar="SOURCE=OWNER/NAME")
    parser.add_argument("sources", nargs="*")
    options = parser.parse_args(argv)
    try:
        settings, rails = load_configuration(options.config)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    seen = [(source, name) for source, _, name in (each.partition("=") for each in options.seen)]
    asyncio.run(_print_all(settings, rails, [*dict.fromkeys(options.sources)], seen))
    return 0


async def _print_all(
    settings: Settings, rails: CompiledRails | None, names: list[str], seen: list[tuple[str, str]]
) -> None:
    sources = [source for name, source in settings.sources.items() if name in names and has_credential(source)]
    await asyncio.gather(*(_print_source(source, settings, rails, seen) for source in sources))


async def _print_source(
    source: SourceSettings, settings: Settings, rails: CompiledRails | None, seen: list[tuple[str, str]]
) -> None:
    try:
        async with asyncio.timeout(SECONDS_MAX):
            async for result in _check(source, settings, rails, seen):
                _print(result)
    except TimeoutError:
        detail = f"not everything was checked within {SECONDS_MAX:g} s"
        _print(warning(f"forge {source.name}", detail, "the forge is slow: try again"))


def _print(result: CheckResult) -> None:
    print(msgspec.json.encode(result).decode(), flush=True)


async def _check(
    source: SourceSettings, settings: Settings, rails: CompiledRails | None, seen: list[tuple[str, str]]
) -> AsyncIterator[CheckResult]:
    name, remedy = f"forge {source.name}", f"check sources.{source.name} in stitcherd.toml"
    responses: list[tuple[int, Response]] = []
    try:
        key = load_app_key(source)
    except AppUnusable as error:
        yield problem(name, str(error), remedy)
        return
    connection = ForgeConnection(
        source, key, on_secret=lambda _: None, on_response=lambda response: responses.append((now_ms(), response))
    )
    try:
        identified = await connection.api.identify()
        if isinstance(identified, Done):
            account = identified.value
            token = await _token(connection) if connection.app is None else TokenInfo()
            yield ok(name, f"{account.login}#{account.id}{f', expires {token.expires}' if token.expires else ''}")
        else:
            detail, hint = failure(identified)
            if isinstance(identified, Rejected) and identified.code == "gone":
                hint = f"correct api of sources.{source.name} in stitcherd.toml: no API of {source.kind} is there"
            yield problem(name, detail, hint or remedy)
        for result in _clock_results(name, responses):
            yield result
        if not isinstance(identified, Done) or rails is None:
            return
        if connection.app is None:
            for result in _scope_results(name, connection, rails, account, token):
                yield result
        elif isinstance(hook := await connection.app.get_hook_error(), Done) and hook.value is not None:
            yield warning(name, f"the webhook of the App failed last: {hook.value}", "look at its deliveries at GitHub")
        async for result in _repository_results(source, settings, connection, rails, account, seen):
            yield result
    finally:
        await connection.close()


async def _repository_results(
    source: SourceSettings,
    settings: Settings,
    connection: ForgeConnection,
    rails: CompiledRails,
    account: ForgeAccount,
    seen: list[tuple[str, str]],
) -> AsyncIterator[CheckResult]:
    """Yield what is found on each repository that is known, and which patterns have none."""
    name, forge = f"forge {source.name}", connection.api.forge
    polled = polled_repositories(settings, source, connection.serves)
    if source.pull is not None and polled.patterns:
        listed = await connection.api.perform(forge.list_repositories(1))
        if isinstance(listed, Done):
            seen = [*seen, *((source.name, each) for each in polled.select(listed.value.names))]
        else:
            yield _listing_fault(name, polled, forge, listed)
    repositories, unknown = _repositories(source, settings, connection, seen)
    async for result in _rights_results(source, connection, rails, account, repositories):
        yield result
    for pattern in unknown:
        yield info(name, f"{pattern} is a pattern, and no delivery from a repository of it is known: not checked")


def _listing_fault(name: str, polled: PolledRepositories, forge: Forge, fault: Outcome[Any]) -> CheckResult:
    detail, hint = failure(fault)
    what = f"the repositories of {', '.join(polled.patterns)} cannot be listed, so pull does not find them: {detail}"
    return problem(name, what, hint or f"it needs {forge.rights['list_repositories']}")


async def _rights_results(
    source: SourceSettings,
    connection: ForgeConnection,
    rails: CompiledRails,
    account: ForgeAccount,
    repositories: list[RepositoryToCheck],
) -> AsyncIterator[CheckResult]:
    with tempfile.TemporaryDirectory(prefix="stitcher-doctor-") as scratch:
        check = RightsCheck(source.name, connection, rails, account, Path(scratch))
        for repository in repositories[:_REPOSITORIES_MAX]:
            async for result in check.repository(repository):
                yield result
    if repositories[_REPOSITORIES_MAX:]:
        detail = f"only the first {_REPOSITORIES_MAX} of {len(repositories)} repositories were checked"
        yield info(f"forge {source.name}", detail)


async def _token(connection: ForgeConnection) -> TokenInfo:
    """Return what the forge tells of the token, nothing if it refuses: tokens of some kinds cannot be asked for."""
    call = connection.api.forge.get_token
    found = await connection.api.perform(call()) if call is not None else None
    return found.value if isinstance(found, Done) else TokenInfo()


def _scope_results(
    name: str, connection: ForgeConnection, rails: CompiledRails, account: ForgeAccount, token: TokenInfo
) -> Iterator[CheckResult]:
    forge = connection.api.forge
    calls = needed_calls(forge, rails, account, "owner/name", app=False)
    needed = dict.fromkeys(call.operation for call in calls if call.request.writes)
    if not needed:
        return
    actions = ", ".join(ACTIONS[each] for each in needed)
    if token.scopes is None:
        rights = "; ".join(dict.fromkeys(forge.rights[each] for each in needed))
        yield info(name, f"{forge.kind} does not tell whether this token may {actions}: it needs {rights}")
    elif not token.scopes & forge.write_scopes:
        shown = ", ".join(sorted(token.scopes)) or "none"
        detail = f"the token cannot {actions}: its scopes are {shown}"
        yield problem(name, detail, f"create one with the scope {' or '.join(sorted(forge.write_scopes))}")


def _repositories(
    source: SourceSettings, settings: Settings, connection: ForgeConnection, seen: list[tuple[str, str]]
) -> tuple[list[RepositoryToCheck], list[str]]:
    """Return the repositories of a source that are known, and the patterns of which none is.

    Those that the settings name belong to the source whose host they are cloned from; a path belongs to the only one.
    """
    alone = sum(has_credential(each) and each.workspace == source.workspace for each in settings.sources.values()) == 1
    names = dict.fromkeys(name for from_source, name in seen if from_source == source.name)
    unknown = []
    for entry in settings.repositories:
        served = alone if entry.is_path else connection.serves(entry.clone)
        if entry.workspace != source.workspace or not served:
            continue
        if not entry.is_pattern:
            names.setdefault(entry.pattern)
        elif not any(entry.matches(name) for name in names):
            unknown.append(entry.pattern)
    polled = polled_repositories(settings, source, connection.serves)
    entries = ((name, settings.repository(name)) for name in names)
    found = [
        RepositoryToCheck(name, entry.clone, source.pull is not None and polled.includes(name))
        for name, entry in entries
        if entry is not None
    ]
    return found, unknown


def _clock_results(name: str, responses: list[tuple[int, Response]]) -> Iterator[CheckResult]:
    if not responses:
        return
    received, last = responses[-1]
    ahead = _seconds_ahead(received, last.headers.get("Date", ""))
    if ahead is not None and abs(ahead) > _SKEW_MAX:
        direction = "ahead of" if ahead > 0 else "behind"
        yield warning(name, f"the clock is {abs(ahead)} s {direction} that of the forge", "timedatectl set-ntp true")


def _seconds_ahead(received: int, date: str) -> int | None:
    try:
        return round(received / 1000 - parsedate_to_datetime(date).timestamp())
    except (ValueError, OverflowError):
        return None


if __name__ == "__main__":
    sys.exit(main())
