"""Loads both files of a configuration directory, and says what this machine lacks for them."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from shared import locations
from shared.api import RailsFault
from stitcherd.config.load import load_settings
from stitcherd.config.settings import Settings
from stitcherd.config.types import SupportedKinds
from stitcherd.executors import EXECUTORS
from stitcherd.forges import FORGES
from stitcherd.gates import BUILTINS
from stitcherd.jobs.evaluator import configured_facts
from stitcherd.rails.compiled import CompiledRails
from stitcherd.rails.load import RailsError, load_rails
from stitcherd.rails.validate import RailsContext
from stitcherd.sandbox.bubblewrap import SandboxSpec, missing_sandbox_warnings
from stitcherd.sandbox.programs import start_fault
from stitcherd.sources import KINDS

SUPPORTED_KINDS = SupportedKinds(KINDS, EXECUTORS, FORGES)


def rails_context(directory: Path, settings: Settings) -> RailsContext:
    """Return what the rails of a configuration directory are checked against."""
    private = (directory, *settings.private)
    return RailsContext(
        BUILTINS,
        settings.secret_names,
        private,
        configured_facts(settings),
        tuple(settings.sources),
        asked=tuple(name for name, source in settings.sources.items() if source.has_credential),
        silent_sources=tuple(
            name for name, source in settings.sources.items() if source.kind in FORGES and not source.has_credential
        ),
    )


def load_configuration(directory: Path) -> tuple[Settings, CompiledRails | None]:
    """Return the settings of a directory, and its rails, None if they are invalid. Raises SettingsError."""
    settings = load_settings(directory, SUPPORTED_KINDS)
    try:
        return settings, load_rails(directory / locations.RAILS_FILE, rails_context(directory, settings))
    except RailsError:
        return settings, None


def machine_warnings(rails: CompiledRails, settings: Settings) -> list[RailsFault]:
    """Return a warning for each sandbox that does not work on this machine, and each program that cannot be started."""
    return [*missing_sandbox_warnings(_requested_sandboxes(rails)), *_missing_programs(rails, settings)]


def _missing_programs(rails: CompiledRails, settings: Settings) -> Iterator[RailsFault]:
    commands: dict[tuple[int, str], tuple[Sequence[str], SandboxSpec | None]] = {}
    for job in rails.jobs.values():
        profile, executor = job.profile, settings.executors.get(job.profile.executor)
        commands[profile.line, f"executor {profile.executor}"] = (executor.argv if executor else (), profile.box)
        commands |= {(gate.line, f"gate {gate.name}"): (gate.run or (), gate.box) for gate in job.gates}
    for (line, who), (argv, box) in commands.items():
        fault = start_fault(argv[0], box, search_path=os.environ.get("PATH", os.defpath)) if argv else None
        if fault is not None:
            yield RailsFault(line, 1, f"{who}: {fault.removesuffix('.')}")


def _requested_sandboxes(rails: CompiledRails) -> Iterator[tuple[int, str, SandboxSpec | None]]:
    """Yield (line, user, sandbox) for each profile and gate that a type of job uses."""
    for job in rails.jobs.values():
        yield job.profile.line, f"profile {job.profile.name}", job.profile.box
        yield from ((gate.line, f"gate {gate.name}", gate.box) for gate in job.gates)
