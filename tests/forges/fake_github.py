"""A fake of GitHub: the official example of each answer, overlaid with its state."""

import re
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

from tests.forges import fake_github_lists
from tests.forges.descriptions import GITHUB
from tests.forges.fake import (
    Answer,
    FakeAccount,
    FakeComment,
    FakeRepository,
    FakeThread,
    Handler,
    Refused,
    Sent,
    time_text,
)
from tests.forges.fake_repos import FakeReposForge

_R = "/repos/{owner}/{repo}"
_UNDESCRIBED = "head.repo: null is not"  # but GitHub answers so where a fork was deleted


class FakeGitHub(FakeReposForge):
    redirect_to_id = True
    asks_permissions = "write"

    def __init__(self) -> None:
        super().__init__()
        self.page_size = 100
        self.app_jwt: str | None = None  # what was last sent instead of a token
        self.suspended = False
        self.delivered = 200  # what the webhook of the App was answered last
        self.granted = {"metadata": "read", "issues": "write", "pull_requests": "write", "statuses": "write"}
        self.poll_interval = 0  # seconds that its lists ask for
        self.minted = 0
        self.revoked: set[str] = set()

    @property
    def repository_routes(self) -> dict[str, Handler]:
        lists: dict[str, Handler] = {  # before those with a number in their place
            "GET /issues/comments": partial(fake_github_lists.comments, self),
            "GET /issues/events": partial(fake_github_lists.events, self),
            "GET /issues": partial(fake_github_lists.threads, self),
            "GET /pulls/{number}/reviews": partial(fake_github_lists.reviews, self),
            "GET /pulls/{number}/reviews/{id}/comments": partial(fake_github_lists.line_comments, self),
        }
        return (
            lists
            | super().repository_routes
            | {
                "POST /pulls/comments/{id}/reactions": self.react_to_comment,
                "GET /pulls": self.get_changes,
                "POST /check-runs": self.create_check,
                "PATCH /check-runs/{id}": self.update_check,
                "GET /commits/{sha}/check-runs": self.list_checks,
                "GET /installation": self.get_installation,
            }
        )

    @property
    def routes(self) -> dict[str, Handler]:
        return super().routes | {
            "GET /user/repos": partial(fake_github_lists.repositories, self),
            "GET /user/{id}": self.get_account,
            "GET /users/{login}": self.get_account_by_login,
            "GET /app": self.get_app,
            "GET /app/hook/deliveries": self.get_deliveries,
            "POST /app/installations/{id}/access_tokens": self.create_token,
        }

    def accepts(self, token: str) -> bool:
        if token.startswith("eyJ"):
            self.app_jwt = token
            return True
        return super().accepts(token) and token not in self.revoked

    def check(self, sent: Sent, answer: Answer | None) -> Iterator[str]:
        path = re.sub(r"/repositories/[0-9]+(?=/)", "/repos/octo-org/api", sent.path)  # the same, but not described
        yield from GITHUB.request_faults(sent.method, path, list(sent.query), sent.body)
        if answer is not None and answer.status < 300:
            faults = GITHUB.response_faults(sent.method, path, answer.status, answer.content)
            yield from (fault for fault in faults if _UNDESCRIBED not in fault)

    def render_account(self, account: FakeAccount) -> dict[str, Any]:
        example: dict[str, Any] = GITHUB.example("GET /users/{username}", 200)
        return example | {"id": account.id, "login": account.login}

    def render_simple(self, account: FakeAccount) -> dict[str, Any]:
        example: dict[str, Any] = GITHUB.example(f"GET {_R}/issues/{{issue_number}}", 200)["user"]
        return example | {"id": account.id, "login": account.login}

    def render_comment(self, repository: FakeRepository, comment: FakeComment) -> dict[str, Any]:
        example: dict[str, Any] = GITHUB.example(f"POST {_R}/issues/{{issue_number}}/comments", 201)
        thread, _ = self.find_comment(repository, comment.id)
        return example | {
            "id": comment.id,
            "user": self.render_simple(comment.author),
            "body": comment.body,
            "created_at": time_text(comment.created),
            "updated_at": time_text(comment.updated),
            "html_url": f"https://github.com/{repository.name}/issues/1#issuecomment-{comment.id}",
            "issue_url": f"{self.api}/repos/{repository.name}/issues/{thread.number}",
        }

    def render_thread(self, repository: FakeRepository, thread: FakeThread) -> dict[str, Any]:
        example: dict[str, Any] = GITHUB.example(f"GET {_R}/issues/{{issue_number}}", 200)
        mark = example.pop("pull_request")
        return (example | {"pull_request": mark} if thread.kind == "change" else example) | {
            "id": thread.number + 1000,
            "number": thread.number,
            "title": thread.title,
            "body": thread.body,
            "labels": [],
            "created_at": time_text(thread.created),
            "updated_at": time_text(thread.updated),
            "state": "open" if thread.is_open else "closed",
            "locked": thread.locked,
            "user": self.render_simple(thread.author),
            "html_url": f"https://github.com/{repository.name}/issues/{thread.number}",
            "repository_url": f"{self.api}/repos/{repository.name}",
        }

    def render_change(self, repository: FakeRepository, thread: FakeThread) -> dict[str, Any]:
        example: dict[str, Any] = GITHUB.example(f"GET {_R}/pulls/{{pull_number}}", 200)
        base, head = example["base"], example["head"]
        base["repo"] |= {"id": repository.id, "full_name": repository.name}
        source = thread.source_repository
        head["repo"] = None if source is None else base["repo"] | {"id": source or repository.id}
        return example | {
            "number": thread.number,
            "title": thread.title,
            "created_at": time_text(thread.created),
            "updated_at": time_text(thread.updated),
            "state": "open" if thread.is_open else "closed",
            "merged": thread.merged,
            "merged_at": "2026-11-22T15:00:00Z" if thread.merged else None,
            "draft": thread.draft,
            "user": self.render_simple(thread.author),
            "html_url": f"https://github.com/{repository.name}/pull/{thread.number}",
            "base": base | {"ref": thread.base},
            "head": head | {"ref": thread.head, "sha": thread.head_sha},
            "requested_teams": [],
        }

    def render_repository(self, repository: FakeRepository) -> dict[str, Any]:
        example: dict[str, Any] = GITHUB.example(f"GET {_R}", 200)
        for part in ("parent", "source", "template_repository"):
            example.pop(part, None)
        return example | {"id": repository.id, "full_name": repository.name, "default_branch": "main", "language": None}

    def render_reaction(self, content: str) -> dict[str, Any]:
        example: dict[str, Any] = GITHUB.example(f"POST {_R}/issues/{{issue_number}}/reactions", 201)
        return example | {"content": content}

    def render_status(self, status: dict[str, Any]) -> dict[str, Any]:
        example: dict[str, Any] = GITHUB.example(f"POST {_R}/statuses/{{sha}}", 201)
        return example | status

    def refuse_change(self, _repository: FakeRepository, body: dict[str, Any]) -> None:
        raise Refused(422, f"A pull request already exists for octo-org:{body['head']}.")

    def get_permission(self, sent: Sent, repository: FakeRepository, login: str) -> Answer:
        answer = super().get_permission(sent, repository, login)
        answer.content["user"] |= {"role_name": answer.content["role_name"]}
        return answer

    def get_thread(self, sent: Sent, repository: FakeRepository, number: int) -> Answer:
        thread = self.visible_thread(repository, number)
        if thread.deleted:
            raise Refused(410, "This issue was deleted")
        if thread.moved_to is None:
            return super().get_thread(sent, repository, number)
        return self._redirect_moved(sent, thread)

    def _redirect_moved(self, sent: Sent, thread: FakeThread, path: str = "") -> Answer:
        number = thread.moved_number or thread.number
        target = f"{self.api}/repositories/{thread.moved_to}/issues/{number}{path}{sent.query_text}"
        return Answer(301, {"message": "Moved Permanently", "url": target}, {"Location": target})

    def create_comment(self, sent: Sent, repository: FakeRepository, number: int) -> Answer:
        if self.visible_thread(repository, number).moved_to is not None:
            raise Refused(404, "Not Found")
        return super().create_comment(sent, repository, number)

    def get_comments(self, sent: Sent, repository: FakeRepository, number: int) -> Answer:
        thread = self.visible_thread(repository, number)
        if thread.moved_to is not None:
            return self._redirect_moved(sent, thread, "/comments")
        found = self.comments_since(sent, thread)
        page, size = int(sent.query.get("page", 1)), self.page_size
        more = len(found) > page * size
        link = f'<{self.api}/repositories/{repository.id}/issues/{number}/comments?page={page + 1}>; rel="next"'
        shown = [self.render_comment(repository, each) for each in found[(page - 1) * size : page * size]]
        return Answer(200, shown, {"Link": link} if more else {})

    def get_changes(self, sent: Sent, repository: FakeRepository) -> Answer:
        _, _, head = sent.query["head"].partition(":")
        found = self.changes_from(repository, head, sent.query["base"])
        example = GITHUB.example(f"GET {_R}/pulls", 200)[0]
        changes = [self.render_change(repository, each) for each in reversed(found)]
        return Answer(200, [{key: change.get(key, value) for key, value in example.items()} for change in changes])

    def get_account(self, _sent: Sent, id_: int) -> Answer:
        if id_ not in self.accounts:
            raise Refused(404, "Not Found")
        return Answer(200, self.render_account(self.accounts[id_]))

    def get_account_by_login(self, _sent: Sent, login: str) -> Answer:
        if login != "stitcher-app%5Bbot%5D":
            raise Refused(404, "Not Found")
        return Answer(200, self.render_account(FakeAccount(77, "stitcher-app[bot]")))

    def create_check(self, sent: Sent, repository: FakeRepository) -> Answer:
        id_ = self.next_id()
        repository.checks[id_] = sent.body
        return Answer(201, self._render_check(id_, sent.body))

    def update_check(self, sent: Sent, repository: FakeRepository, id_: int) -> Answer:
        if id_ not in repository.checks:
            raise Refused(404, "Not Found")
        repository.checks[id_] |= sent.body
        return Answer(200, self._render_check(id_, repository.checks[id_]))

    def list_checks(self, sent: Sent, repository: FakeRepository, sha: str) -> Answer:
        found = [
            self._render_check(id_, check)
            for id_, check in repository.checks.items()
            if (check["head_sha"], check["name"]) == (str(sha), sent.query["check_name"])
        ]
        return Answer(200, {"total_count": len(found), "check_runs": found})

    def _render_check(self, id_: int, check: dict[str, Any]) -> dict[str, Any]:
        example: dict[str, Any] = GITHUB.example(f"PATCH {_R}/check-runs/{{check_run_id}}", 200)
        shown = ("name", "status", "external_id", "head_sha")
        return example | {"id": id_, **{key: check[key] for key in shown}}

    def require_app(self, sent: Sent) -> None:
        if sent.token is None or sent.token != self.app_jwt:
            raise Refused(401, "A JSON web token could not be decoded")

    def get_app(self, sent: Sent) -> Answer:
        self.require_app(sent)
        return Answer(200, {"id": 5, "slug": "stitcher-app"})

    def get_deliveries(self, sent: Sent) -> Answer:
        self.require_app(sent)
        example = GITHUB.example("GET /app/hook/deliveries", 200)[0]
        shown = {"status_code": self.delivered, "status": "OK" if self.delivered < 300 else "Invalid HTTP Response"}
        return Answer(200, [example | shown][: int(sent.query["per_page"])])

    def get_installation(self, sent: Sent, _repository: FakeRepository) -> Answer:
        self.require_app(sent)
        return Answer(200, GITHUB.example(f"GET {_R}/installation", 200) | {"id": 3})

    def create_token(self, sent: Sent, _installation: int) -> Answer:
        self.require_app(sent)
        if self.suspended:
            raise Refused(403, "This installation has been suspended")
        if any(self.granted.get(name) not in {level, "write"} for name, level in sent.body["permissions"].items()):
            raise Refused(422, "The permissions requested are not granted to this installation.")
        self.minted += 1
        token = f"ghs_minted-{self.minted}"
        self.tokens[token] = FakeAccount(1, "stitcher-app[bot]")
        example = GITHUB.example("POST /app/installations/{installation_id}/access_tokens", 201)
        example.pop("repositories", None)
        expires = time_text(self.now() + timedelta(hours=1))
        return Answer(201, example | {"token": token, "expires_at": expires, "permissions": sent.body["permissions"]})
