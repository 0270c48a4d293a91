"""Warns of types of jobs that write to a repository, and whose commits the agent itself could make pass."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from shared.api import RailsFault
from stitcherd.config.yaml_nodes import YamlNode
from stitcherd.rails.requirements import COMMIT_CAPABILITIES
from stitcherd.rails.schema import JobSpec, RailsFile, SandboxFields


class BuiltinFacts(Protocol):
    """What the rails must know of a built-in gate."""

    @property
    def enforces_paths(self) -> bool:
        """Whether the gate refuses commits that violate the section `paths`."""
        ...


def job_warnings(file: RailsFile, root: YamlNode, builtins: Mapping[str, BuiltinFacts]) -> Iterator[RailsFault]:
    """Yield the warnings of each type of job that may write, in a file without faults."""
    for name, job in file.jobs.items():
        if COMMIT_CAPABILITIES.isdisjoint(job.needs):
            continue
        messages = [
            *_unenforced_paths(file, name, job, builtins),
            *_gates_of_the_agent(file, name, job),
            *_missing_sandboxes(file, name, job),
        ]
        for message in messages:
            yield RailsFault(*root.key_at(("jobs", name)), message)


def _unenforced_paths(file: RailsFile, name: str, job: JobSpec, builtins: Mapping[str, BuiltinFacts]) -> Iterator[str]:
    enforcing = sorted(builtin for builtin, facts in builtins.items() if facts.enforces_paths)
    if not any(file.gates[gate].required and file.gates[gate].builtin in enforcing for gate in job.gates):
        wanted = " or ".join(f"builtin: {each}" for each in enforcing)
        yield f"paths are not enforced for job {name}: it has no required gate with {wanted}"


def _gates_of_the_agent(file: RailsFile, name: str, job: JobSpec) -> Iterator[str]:
    """Yield a warning for each gate that knows nothing but what the agent left behind."""
    for gate in dict.fromkeys(job.gates):
        spec = file.gates[gate]
        if spec.run is not None and spec.required and not spec.from_base and spec.expect is None:
            yield f"gate {gate} of job {name} runs what the agent may have written: give it from_base, or expect"


def _missing_sandboxes(file: RailsFile, name: str, job: JobSpec) -> Iterator[str]:
    places: dict[str, SandboxFields] = {f"profile {job.profile}": file.profiles[job.profile]}
    places |= {f"gate {gate}": file.gates[gate] for gate in job.gates if file.gates[gate].run is not None}
    unset = [place for place, spec in places.items() if spec.sandbox is None]
    if unset:
        where = f"{', '.join(unset[:-1])} and {unset[-1]} set" if len(unset) > 1 else f"{unset[0]} sets"
        yield f"{where} no sandbox, so job {name} has none there: write sandbox: bwrap, or sandbox: none"
    elif all(spec.sandbox == "none" for spec in places.values()):
        yield f"job {name} runs without a sandbox: its agent and its gates can do what the daemon's user can"
