"""What rails ask of the sandbox and this machine does not give: no fault of theirs, but jobs that will be denied."""

from collections.abc import Iterable, Iterator

from shared.house import RailsFault
from stitcherd.sandbox import Box, available, unbinding


def lacking(asked: Iterable[tuple[int, str, Box | None]]) -> list[RailsFault]:
    """Return a warning for each cause, at the first line that asks; `asked` are lines, who asks there, and for what."""
    found: dict[str, list[tuple[int, str]]] = {}
    for line, who, box in asked:
        for cause in _causes(box) if box else ():
            found.setdefault(cause, []).append((line, who))
    return [RailsFault(min(them)[0], 1, _warning(cause, [who for _, who in them])) for cause, them in found.items()]


def _causes(box: Box) -> Iterator[str]:
    if (cause := available()) is not None:
        yield cause
    for limit, why in unbinding().items():
        if getattr(box, limit) is not None:
            yield f"{limit} cannot be limited here: {why}"


def _warning(cause: str, who: list[str]) -> str:
    return f"{cause}; until then jobs are denied that need {', '.join(dict.fromkeys(who))}"
