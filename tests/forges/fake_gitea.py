"""A fake of Gitea and Forgejo."""

from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import unquote

from tests.forges import fake_gitea_lists as lists
from tests.forges.descriptions import GITEA
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


class FakeGitea(FakeReposForge):
    base = "/api/v1"
    redirect_to_id = False
    asks_permissions = "admin"
    page_size = 50  # at most

    @property
    def repository_routes(self) -> dict[str, Handler]:
        more: dict[str, Handler] = {  # before those with a number in their place
            "GET /issues/comments": partial(lists.comments, self),
            "GET /issues": partial(lists.threads, self),
            "GET /issues/{number}/timeline": partial(lists.timeline, self),
            "GET /pulls/{base}/{head}": self.get_change_by_branches,
        }
        return more | super().repository_routes

    @property
    def routes(self) -> dict[str, Handler]:
        return super().routes | {
            "GET /users/search": self.search_users,
            "GET /user/repos": partial(lists.repositories, self),
        }

    def check(self, sent: Sent, answer: Answer | None) -> Iterator[str]:
        yield from GITEA.request_faults(sent.method, sent.path, list(sent.query), sent.body)
        if answer is not None and answer.status < 300:
            yield from GITEA.response_faults(sent.method, sent.path, answer.status, answer.content)

    def render_account(self, account: FakeAccount) -> dict[str, Any]:
        return {
            "id": account.id,
            "login": account.login,
            "full_name": "",
            "active": False,
            "created": time_text(self.now()),
        }

    def render_comment(self, repository: FakeRepository, comment: FakeComment) -> dict[str, Any]:
        return {
            "id": comment.id,
            "user": self.render_account(comment.author),
            "body": comment.body,
            "created_at": time_text(comment.created),
            "updated_at": time_text(comment.updated),
            "html_url": f"{self.url}/{repository.name}/issues/1#issuecomment-{comment.id}",
            "assets": [],
        }

    def render_thread(self, repository: FakeRepository, thread: FakeThread) -> dict[str, Any]:
        return {
            "id": thread.number + 1000,
            "number": thread.number,
            "title": thread.title,
            "state": "open" if thread.is_open else "closed",
            "is_locked": thread.locked,
            "user": self.render_account(thread.author),
            "html_url": f"{self.url}/{repository.name}/issues/{thread.number}",
            "repository": {"id": repository.id, "full_name": repository.name, "name": "api", "owner": "octo-org"},
            "assignees": None,
        }

    def render_change(self, repository: FakeRepository, thread: FakeThread) -> dict[str, Any]:
        rendered = self.render_repository(repository)
        source = thread.source_repository
        return {
            "number": thread.number,
            "title": thread.title,
            "state": "open" if thread.is_open else "closed",
            "merged": thread.merged,
            "draft": thread.draft,
            "user": self.render_account(thread.author),
            "html_url": f"{self.url}/{repository.name}/pulls/{thread.number}",
            "base": {"ref": thread.base, "sha": "b" * 40, "repo_id": repository.id, "repo": rendered},
            "head": {
                "ref": thread.head,
                "sha": thread.head_sha,
                "repo_id": source or repository.id,
                "repo": None if source is None else rendered | {"id": source or repository.id},
            },
        }

    def render_repository(self, repository: FakeRepository) -> dict[str, Any]:
        return {"id": repository.id, "full_name": repository.name, "default_branch": "main", "private": False}

    def render_reaction(self, content: str) -> dict[str, Any]:
        return {"content": content, "user": self.render_account(self.bot), "created_at": time_text(self.now())}

    def render_status(self, status: dict[str, Any]) -> dict[str, Any]:
        shown = {key: value for key, value in status.items() if key != "state"}
        return {"id": self.next_id(), "status": status["state"], **shown}

    def refuse_change(self, _repository: FakeRepository, _body: dict[str, Any]) -> None:
        raise Refused(409, "pull request already exists for these targets")

    def search_users(self, sent: Sent) -> Answer:
        account = self.accounts.get(int(sent.query["uid"]))
        return Answer(200, {"ok": True, "data": [self.render_account(account)] if account else []})

    def get_change_by_branches(self, _sent: Sent, repository: FakeRepository, base: str, head: str) -> Answer:
        found = self.changes_from(repository, unquote(str(head)), unquote(str(base)))
        if not found:
            raise Refused(404, "Not Found")
        return Answer(200, self.render_change(repository, found[-1]))
