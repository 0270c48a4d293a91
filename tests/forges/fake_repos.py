"""What the fakes of GitHub and Gitea have in common: the paths under /repos/{owner}/{name}, and their state."""

from abc import abstractmethod
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import unquote

from tests.forges.fake import (
    Answer,
    FakeAccount,
    FakeComment,
    FakeForge,
    FakeRepository,
    FakeThread,
    Handler,
    Refused,
    Sent,
    dispatch,
)

LEVELS = ("none", "read", "write", "admin")


class FakeReposForge(FakeForge):
    """A forge whose API is like GitHub's; subclasses say how nouns look, and what differs."""

    redirect_to_id: ClassVar[bool]
    asks_permissions: ClassVar[str]  # the level of those who may ask for the permission of others

    @property
    def repository_routes(self) -> dict[str, Handler]:
        return {
            "GET ": self.get_repository,
            "GET /collaborators/{login}/permission": self.get_permission,
            "GET /issues/{number}": self.get_thread,
            "GET /issues/{number}/comments": self.get_comments,
            "POST /issues/{number}/comments": self.create_comment,
            "PATCH /issues/comments/{id}": self.edit_comment,
            "DELETE /issues/comments/{id}": self.delete_comment,
            "POST /issues/comments/{id}/reactions": self.react_to_comment,
            "POST /issues/{number}/reactions": self.react_to_thread,
            "GET /pulls/{number}": self.get_change,
            "POST /pulls": self.create_change,
            "POST /statuses/{sha}": self.create_status,
            "GET /hooks": self.get_hooks,
        }

    @property
    def routes(self) -> dict[str, Handler]:
        return {"GET /user": self.get_user}

    @abstractmethod
    def render_account(self, account: FakeAccount) -> dict[str, Any]: ...
    @abstractmethod
    def render_comment(self, repository: FakeRepository, comment: FakeComment) -> dict[str, Any]: ...
    @abstractmethod
    def render_thread(self, repository: FakeRepository, thread: FakeThread) -> dict[str, Any]: ...
    @abstractmethod
    def render_change(self, repository: FakeRepository, thread: FakeThread) -> dict[str, Any]: ...
    @abstractmethod
    def render_repository(self, repository: FakeRepository) -> dict[str, Any]: ...
    @abstractmethod
    def render_reaction(self, content: str) -> dict[str, Any]: ...
    @abstractmethod
    def render_status(self, status: dict[str, Any]) -> dict[str, Any]: ...
    @abstractmethod
    def refuse_change(self, repository: FakeRepository, body: dict[str, Any]) -> None: ...

    def answer(self, sent: Sent) -> Answer:
        if sent.path.startswith("/repositories/"):
            id_, _, rest = sent.path.removeprefix("/repositories/").partition("/")
            return self._in_repository(sent, int(id_), f"/{rest}" if rest else "")
        if not sent.path.startswith("/repos/"):
            return dispatch(self.routes, sent, sent.path, sent)
        owner, name, *parts = sent.path.removeprefix("/repos/").split("/")
        found = next(
            (each for each in self.repositories.values() if each.name.lower() == f"{owner}/{name}".lower()), None
        )
        path = "".join(f"/{part}" for part in parts)
        if found is not None:
            return self._in_repository(sent, found.id, path)
        if f"{owner}/{name}" not in self.renamed:
            raise Refused(404, "Not Found")
        return self._redirect(sent, self.repositories[self.renamed[f"{owner}/{name}"]], path)

    def _redirect(self, sent: Sent, repository: FakeRepository, path: str) -> Answer:
        usual = 301 if sent.method == "GET" and self.redirect_to_id else 307
        status = self.redirects.pop(0) if self.redirects else usual
        prefix = f"/repositories/{repository.id}" if self.redirect_to_id else f"/repos/{repository.name}"
        target = f"{self.api}{prefix}{path}{sent.query_text}"
        return Answer(status, {"message": "Moved Permanently", "url": target}, {"Location": target})

    def _in_repository(self, sent: Sent, id_: int, path: str) -> Answer:
        if id_ not in self.repositories:
            raise Refused(404, "Not Found")
        return dispatch(self.repository_routes, sent, path, sent, self.repositories[id_])

    def actor(self, sent: Sent) -> FakeAccount:
        if sent.token is None:
            raise Refused(401, "Requires authentication")
        return self.tokens[sent.token]

    def require(self, sent: Sent, repository: FakeRepository, level: str) -> FakeAccount:
        actor = self.actor(sent)
        if LEVELS.index(repository.levels.get(actor.id, "none")) < LEVELS.index(level):
            raise Refused(403, "Resource not accessible by this token")
        return actor

    def visible_thread(self, repository: FakeRepository, number: int) -> FakeThread:
        thread = repository.threads.get(number)
        if thread is None:
            raise Refused(404, "Not Found")
        return thread

    def get_user(self, sent: Sent) -> Answer:
        return Answer(200, self.render_account(self.actor(sent)))

    def get_repository(self, sent: Sent, repository: FakeRepository) -> Answer:
        level = LEVELS.index(repository.levels.get(self.actor(sent).id, "none")) if sent.token else 1
        permissions = {"admin": level > 2, "push": level > 1, "pull": level > 0}
        return Answer(200, self.render_repository(repository) | {"permissions": permissions})

    def get_permission(self, sent: Sent, repository: FakeRepository, login: str) -> Answer:
        self.require(sent, repository, self.asks_permissions)
        account = next((each for each in self.accounts.values() if each.login == unquote(str(login))), None)
        if account is None:
            raise Refused(404, "Not Found")
        level = repository.levels.get(account.id, "none")
        user = self.render_account(account)
        return Answer(200, {"permission": level, "role_name": level, "user": user})

    def get_thread(self, _sent: Sent, repository: FakeRepository, number: int) -> Answer:
        return Answer(200, self.render_thread(repository, self.visible_thread(repository, number)))

    def comments_since(self, sent: Sent, thread: FakeThread) -> list[FakeComment]:
        since = datetime.fromisoformat(sent.query.get("since", "1970-01-01T00:00:00Z"))
        return [each for each in thread.comments if each.updated >= since]

    def get_comments(self, sent: Sent, repository: FakeRepository, number: int) -> Answer:
        found = self.comments_since(sent, self.visible_thread(repository, number))
        return Answer(200, [self.render_comment(repository, each) for each in found])

    def create_comment(self, sent: Sent, repository: FakeRepository, number: int) -> Answer:
        thread = self.visible_thread(repository, number)
        actor = self.actor(sent)
        if thread.locked:
            raise Refused(403, "Unable to create comment because issue is locked.")
        return Answer(201, self.render_comment(repository, self.add_comment(thread, actor, sent.body["body"])))

    def edit_comment(self, sent: Sent, repository: FakeRepository, id_: int) -> Answer:
        _, comment = self.find_comment(repository, id_)
        comment.body, comment.updated = sent.body["body"], self.now()
        return Answer(200, self.render_comment(repository, comment))

    def delete_comment(self, _sent: Sent, repository: FakeRepository, id_: int) -> Answer:
        thread, comment = self.find_comment(repository, id_)
        thread.comments.remove(comment)
        return Answer(204)

    def react_to_comment(self, sent: Sent, repository: FakeRepository, id_: int) -> Answer:
        _, comment = self.find_comment(repository, id_)
        return self._react(sent, comment.reactions)

    def react_to_thread(self, sent: Sent, repository: FakeRepository, number: int) -> Answer:
        return self._react(sent, self.visible_thread(repository, number).reactions)

    def _react(self, sent: Sent, reactions: set[tuple[int, str]]) -> Answer:
        reaction = (self.actor(sent).id, sent.body["content"])
        status = 200 if reaction in reactions else 201
        reactions.add(reaction)
        return Answer(status, self.render_reaction(sent.body["content"]))

    def get_change(self, _sent: Sent, repository: FakeRepository, number: int) -> Answer:
        thread = self.visible_thread(repository, number)
        if thread.kind != "change":
            raise Refused(404, "Not Found")
        return Answer(200, self.render_change(repository, thread))

    def changes_from(self, repository: FakeRepository, head: str, base: str) -> list[FakeThread]:
        changes = [each for each in repository.threads.values() if each.kind == "change"]
        return [each for each in changes if (each.head, each.base) == (head, base)]

    def create_change(self, sent: Sent, repository: FakeRepository) -> Answer:
        actor = self.require(sent, repository, "write")
        body = sent.body
        if any(each.is_open for each in self.changes_from(repository, body["head"], body["base"])):
            self.refuse_change(repository, body)
        number = max(repository.threads) + 1
        draft = body.get("draft", body["title"].startswith("WIP: "))
        change = FakeThread(number, "change", actor, body["title"], body["body"], head=body["head"], base=body["base"])
        change.draft = draft
        repository.threads[number] = change
        return Answer(201, self.render_change(repository, change))

    def create_status(self, sent: Sent, repository: FakeRepository, sha: str) -> Answer:
        self.require(sent, repository, "write")
        repository.statuses.setdefault(str(sha), []).append(sent.body)
        return Answer(201, self.render_status(sent.body))

    def get_hooks(self, sent: Sent, repository: FakeRepository) -> Answer:
        self.require(sent, repository, "admin")
        return Answer(200, repository.hooks)
