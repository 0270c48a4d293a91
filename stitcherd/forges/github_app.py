"""The API that a GitHub App uses with its JWT: who it is, and tokens for its installations."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from stitcherd.forges import paths
from stitcherd.forges.base import AppApi, Call, InstallationToken, Request, Response, read_as
from stitcherd.forges.models import ForgeAccount, RepositoryRef
from stitcherd.forges.repos_responses import milliseconds, read_account


class _App(Struct):
    slug: str


class _Installation(Struct):
    id: int


class _Delivery(Struct):
    status: str
    status_code: int


class _Token(Struct):
    token: str
    expires_at: datetime


def _get_app() -> Call[str]:
    request = Request(method="GET", path="/app")
    return Call(operation="get_app", request=request, read=lambda response: read_as(_App, response).slug)


def _get_account(login: str) -> Call[ForgeAccount]:
    request = Request(method="GET", path=f"/users/{paths.segment(login)}")
    return Call(operation="get_account", request=request, read=read_account)


def _get_installation(repository: RepositoryRef) -> Call[str]:
    return Call(
        operation="get_installation",
        request=Request(method="GET", repository=repository, path="/installation"),
        read=lambda response: str(read_as(_Installation, response).id),
    )


def _create_token(
    installation: str, repository: RepositoryRef, permissions: Mapping[str, str]
) -> Call[InstallationToken]:
    _, name = paths.owner_and_name(repository.name)
    only = {"repositories": [name]} if repository.id is None else {"repository_ids": [int(paths.number(repository.id))]}
    return Call(
        operation="create_token",
        request=Request(
            method="POST",
            path=f"/app/installations/{paths.number(installation)}/access_tokens",
            body={**only, "permissions": dict(permissions)},
        ),
        read=_read_token,
        expected=frozenset({201}),
    )


def _read_token(response: Response) -> InstallationToken:
    found = read_as(_Token, response)
    return InstallationToken(found.token, milliseconds(found.expires_at))


def _get_hook_error() -> Call[str | None]:
    return Call(
        operation="get_hook_error",
        request=Request(method="GET", path="/app/hook/deliveries", query=(("per_page", "1"),)),
        read=_read_hook_error,
    )


def _read_hook_error(response: Response) -> str | None:
    failed = (each for each in read_as(list[_Delivery], response)[:1] if not 200 <= each.status_code < 300)
    return next((f"{each.status_code}: {each.status}" for each in failed), None)


APP_API = AppApi(_get_app, _get_account, _get_installation, _create_token, _get_hook_error)
