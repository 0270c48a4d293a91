"""Conformance of both apps to the OpenAPI document, for valid and invalid requests."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from copy import deepcopy
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from stitcherd.http import auth
from stitcherd.http.openapi import OPENAPI, document
from stitcherd.http.requests import CURSOR_MAX
from stitcherd.http.routes import ROUTES, STREAM
from stitcherd.store.store import Store
from tests.stitcherd.http.conftest import RAILS, HttpHarness
from tests.stitcherd.http.test_answers import put
from tests.stitcherd.http.webhooks import comment_body, send_webhook

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
TIMEOUT = 20.0  # seconds for one response
ENDLESS = {route.path for route in ROUTES if STREAM in route.answers.values()}  # covered by test_events.py
SEVERAL = settings(
    max_examples=25,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
REFUSED = [400, 401, 403, 404, 409, 413, 415, 422, 429]
CONFIG = {"checks": {"negative_data_rejection": {"expected-statuses": REFUSED}}}


def operations() -> list[Any]:
    """Return the operations; each request has the token that it needs, so none is tried without."""
    promised = deepcopy(document())
    for operation in (operation for path in promised["paths"].values() for operation in path.values()):
        operation.pop("security", None)
    schema = schemathesis.openapi.from_dict(promised, config=SchemathesisConfig.from_dict(CONFIG))
    found = [each.ok() for each in schema.get_all_operations() if isinstance(each, Ok)]
    return [operation for operation in found if operation.path not in ENDLESS]


async def write_nothing(_store: Store, _target: Path) -> int:
    return 0


@asynccontextmanager
async def on_tcp(path: Path) -> AsyncIterator[str]:
    """Forward TCP connections to a Unix socket, where the peer is still this process."""

    async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
        target.close()

    async def pair(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_unix_connection(path)
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))

    async with await asyncio.start_server(pair, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


class Known:
    """Ids of what exists, and request bodies that refer to it."""

    def __init__(self, job: Any, delivery: str, answer: str) -> None:
        self._names = {
            "job": job["id"],
            "delivery": delivery,
            "source": "near",
            "step": job["steps"][0]["id"],
            "answer": answer,
        }
        new = {"type": "hello", "workspaceId": "default", "repository": None}
        self._bodies: dict[str, dict[str, Any]] = {
            "/runner-jobs": new,
            "/stitcher/dispatch": new,
            "/runner-jobs/bulk": {"q": "is:over"},
            "/rails/simulate": {"text": RAILS},
            "/backup": {"path": "/copy.db"},
            "/rails/explain": {"deliveryId": delivery, "source": None, "headers": None, "body": None},
        }

    def put_into(self, case: Any) -> None:
        """Make a case refer to what exists."""
        case.path_parameters = {name: self._names[name] for name in case.path_parameters}
        if isinstance(case.body, dict) and case.operation.path in self._bodies:
            meant = {**case.body, **self._bodies[case.operation.path]}
            case.body = {name: value for name, value in meant.items() if value is not None}


@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize("app", ["public", "local"])
async def test_responses_conform_to_the_document(
    api: HttpHarness, mode: GenerationMode, app: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "FAILURES_MAX", 10**6)  # or the rest would be 429
    monkeypatch.setattr(Store, "back_up", write_nothing)  # wherever a case says
    _, response = await send_webhook(api, "near", comment_body("@mosaic hello", repository="near-org/nowhere"))
    job = await api.wait_until_ended(response["jobId"])
    known = Known(job, response["deliveryId"], await put(api))
    async with on_tcp(tmp_path / "s") as socket:
        base, headers = (socket, {}) if app == "local" else (api.public.base, {"Authorization": "Bearer writer"})
        held = operations()
        statuses = await asyncio.to_thread(_hold, held, base, headers, mode, known)
    expected = {200, 201, 202} if mode.is_positive else {400, 422}
    assert expected <= statuses, "the cases are too poor"


def _hold(held: list[Any], base: str, headers: dict[str, str], mode: GenerationMode, known: Known) -> set[int]:
    """Call the operations at `base` and check the responses; return their statuses."""
    wrong, statuses = [], set[int]()
    with requests.Session() as session:

        def ask(case: Any) -> None:
            answered = case.call(base_url=base, session=session, headers=headers, timeout=TIMEOUT)
            sent = query_of(answered.request.url)
            mistaken = mode.is_negative and (case.operation.body or not fits_query(case.operation, sent))
            case.validate_response(answered, checks=[*CHECKS, negative_data_rejection] if mistaken else CHECKS)
            statuses.add(answered.status_code)

        for operation in held:
            if mode.is_negative and not _can_be_mistaken(operation):
                continue
            try:
                _cases(operation, mode, known, ask)()
            except FailureGroup as found:
                wrong.append(f"{operation.label}: {found}")
    assert not wrong, "\n\n".join(wrong)
    return statuses


def _can_be_mistaken(operation: Any) -> bool:
    """Return whether an operation has parameters beside those of its path, for which any text is valid."""
    return bool(operation.query or operation.body)


def query_of(url: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(url).query, keep_blank_values=True)


def fits_query(operation: Any, sent: dict[str, list[str]]) -> bool:
    """Return whether a query is valid as it was sent: a text in place of a list of texts, for example, is the same."""
    schemas = {parameter["name"]: parameter["schema"] for parameter in operation.definition.raw["parameters"]}
    return all(name in schemas and fits_schema(values, schemas[name]) for name, values in sent.items())


def fits_schema(values: list[str], schema: dict[str, Any]) -> bool:
    if schema["type"] == "array":
        return all(fits_schema([value], schema["items"]) for value in values)
    if len(values) > 1:
        return False
    if schema["type"] == "integer":
        return values[0].isdigit() and schema["minimum"] <= int(values[0]) <= schema.get("maximum", CURSOR_MAX)
    if schema["type"] == "boolean":
        return values[0] in {"true", "false"}
    return values[0] in schema.get("enum", values)


def _cases(operation: Any, mode: GenerationMode, known: Known, ask: Callable[[Any], None]) -> Callable[[], None]:
    @SEVERAL
    @given(case=operation.as_strategy(generation_mode=mode), there=st.booleans())
    def each(case: Any, there: bool) -> None:
        if there and mode.is_positive:
            known.put_into(case)
        ask(case)

    return each


def test_every_route_is_covered() -> None:
    held = {operation.path for operation in operations()} | ENDLESS
    assert held == {route.path for route in (*ROUTES, OPENAPI)}
