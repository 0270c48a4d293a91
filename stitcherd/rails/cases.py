"""Cases of a policy: deliveries with the verdicts that they shall get, in a file such as rails.test.yaml."""

from pathlib import Path
from typing import Any, Literal, Self

import msgspec
from msgspec import Struct
from pydantic import Field, ValidationError, model_validator

from shared.api import RailsFault
from shared.models import Verdict
from stitcherd.config.errors import invalid_value
from stitcherd.config.yaml_nodes import YamlError, YamlNode, parse_yaml
from stitcherd.rails.load import RailsError, validation_faults
from stitcherd.rails.schema import SpecModel
from stitcherd.rails.types import NonEmptyText

_CASES = "cases"  # stands for the file, which is a list, in the path of a fault


class ExpectationSpec(SpecModel):
    """What a case shall come to; `reason` is a part of the decision's reason."""

    verdict: Literal["allowed", "waiting", "deciding", "ignored", "denied"]
    job: NonEmptyText | None = None
    reason: NonEmptyText | None = None


class CaseSpec(SpecModel):
    """A delivery: its body, or the file that has it, and what the forge would say of accounts, by their logins."""

    name: NonEmptyText
    source: NonEmptyText
    headers: dict[str, str] = Field(default_factory=dict)
    body: Any = None
    payload: NonEmptyText | None = None
    permissions: dict[str, Literal["none", "read", "write", "admin"]] = Field(default_factory=dict)
    expect: ExpectationSpec

    @model_validator(mode="after")
    def _require_one_body(self) -> Self:
        if (self.body is None) is (self.payload is None):
            raise invalid_value("a case has either body or payload")
        return self


class CasesFile(SpecModel):
    """All cases of a file."""

    cases: tuple[CaseSpec, ...]


class RailsCase(Struct, frozen=True):
    """A case with the bytes of its body, and its line in the file."""

    spec: CaseSpec
    line: int
    body: bytes

    def expected(self) -> str:
        """Return the expectation in words."""
        wanted = self.spec.expect
        job = f" {wanted.job}" if wanted.job else ""
        return f"{wanted.verdict}{job}{f': …{wanted.reason}…' if wanted.reason else ''}"

    def is_met(self, verdict: Verdict, job: str | None, reason: str) -> bool:
        """Say whether a decision is the expected one."""
        wanted = self.spec.expect
        return wanted.verdict == verdict and wanted.job in {None, job} and (wanted.reason or "") in reason


def load_cases(path: Path) -> list[RailsCase]:
    """Return the cases of a file; payloads are found from its directory. Raises RailsError with every fault."""
    try:
        root = parse_yaml(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = str(error.strerror).lower() if isinstance(error, OSError) else "not UTF-8 text"
        raise RailsError(path.name, [RailsFault(1, 1, f"cannot be read: {reason}")]) from error
    except YamlError as error:
        raise RailsError(path.name, [error.fault]) from error
    if root is None or not isinstance(root.value, list):
        raise RailsError(path.name, [RailsFault(1, 1, "must be a list of cases, each with name, source and expect")])
    whole = YamlNode(root.line, root.column, {_CASES: root}, {_CASES: (root.line, root.column)})
    try:
        specs = CasesFile.model_validate(whole.plain()).cases
    except ValidationError as invalid:
        raise RailsError(path.name, validation_faults(invalid, whole, CasesFile)) from None
    cases, faults = [], []
    for spec, node in zip(specs, root.value, strict=True):
        try:
            cases.append(RailsCase(spec, node.line, _body(spec, node, path.parent)))
        except OSError as error:
            place = node.at(("payload",))
            message = f"payload {spec.payload} cannot be read: {str(error.strerror).lower()}"
            faults.append(RailsFault(place.line, place.column, message))
    if faults:
        raise RailsError(path.name, faults)
    return cases


def _body(spec: CaseSpec, node: YamlNode, directory: Path) -> bytes:
    if spec.payload is not None:
        return (directory / spec.payload).read_bytes()
    if isinstance(spec.body, str):
        return spec.body.encode("utf-8", "surrogatepass")
    return msgspec.json.encode(node.at(("body",)).document())
