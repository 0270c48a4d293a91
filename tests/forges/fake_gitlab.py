"""A fake of GitLab, by its documentation: there is no free description of its API."""

from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import unquote

from tests.forges import fake_gitlab_lists
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
from tests.forges.fake_gitlab_lists import FILTERS, changed_at, labels, people, stamp

ACCESS_LEVELS = {"read": 20, "write": 30, "admin": 40}
KEYS = {  # of the bodies: which are needed, and which others there are
    "POST /award_emoji": ({"name"}, set[str]()),
    "POST /notes": ({"body"}, {"created_at"}),
    "PUT /notes/{id}": ({"body"}, set[str]()),
    "POST /statuses/{sha}": (
        {"state"},
        {"name", "context", "ref", "target_url", "description", "coverage"},
    ),
    "POST /merge_requests": (
        {"source_branch", "target_branch", "title"},
        {"description", "remove_source_branch", "squash", "target_project_id"},
    ),
}
BACKWARDS = {"pending": {"running", "success", "failed"}, "running": {"success", "failed"}}  # refused after these


class FakeGitLab(FakeForge):
    base = "/api/v4"

    def __init__(self) -> None:
        super().__init__()
        self.page_size = 100
        self.states: dict[int, str] = {}  # of accounts that are not active
        self.scopes = ["api"]

    @property
    def project_routes(self) -> dict[str, Handler]:
        routes: dict[str, Handler] = {
            "GET ": self.get_project,
            "GET /members/all/{id}": self.get_member,
            "POST /statuses/{sha}": self.create_status,
            "GET /repository/commits/{sha}/statuses": self.get_statuses,
            "GET /events": partial(fake_gitlab_lists.events, self),
            "GET /issues": partial(fake_gitlab_lists.threads, self),
            "GET /merge_requests": partial(fake_gitlab_lists.threads, self),
            "POST /merge_requests": self.create_merge_request,
            "GET /hooks": self.get_hooks,
        }
        for kind in ("issues", "merge_requests"):
            routes |= {
                f"GET /{kind}/{{iid}}": self.get_thread,
                f"GET /{kind}/{{iid}}/notes": partial(fake_gitlab_lists.notes, self),
                f"GET /{kind}/{{iid}}/resource_label_events": partial(fake_gitlab_lists.label_events, self),
                f"POST /{kind}/{{iid}}/notes": self.create_note,
                f"PUT /{kind}/{{iid}}/notes/{{id}}": self.edit_note,
                f"DELETE /{kind}/{{iid}}/notes/{{id}}": self.delete_note,
                f"GET /{kind}/{{iid}}/award_emoji": self.get_reactions,
                f"POST /{kind}/{{iid}}/award_emoji": self.react,
                f"GET /{kind}/{{iid}}/notes/{{id}}/award_emoji": self.get_reactions,
                f"POST /{kind}/{{iid}}/notes/{{id}}/award_emoji": self.react,
            }
        return routes

    @property
    def routes(self) -> dict[str, Handler]:
        return {
            "GET /user": self.get_user,
            "GET /projects": partial(fake_gitlab_lists.projects, self),
            "GET /users/{id}": self.get_account,
            "GET /personal_access_tokens/self": self.get_token,
        }

    def answer(self, sent: Sent) -> Answer:
        if not sent.path.startswith("/projects/"):
            return dispatch(self.routes, sent, sent.path, sent)
        project, *rest = sent.path.removeprefix("/projects/").split("/")
        path = "".join(f"/{part}" for part in rest)
        for repository in self.repositories.values():
            if project in {str(repository.id), repository.name.replace("/", "%2F")}:
                return dispatch(self.project_routes, sent, path, sent, repository)
        renamed = self.renamed.get(unquote(project))
        if renamed is None:
            raise Refused(404, "404 Project Not Found")
        return Answer(301, None, {"Location": f"{self.api}/projects/{renamed}{path}{sent.query_text}"})

    def check(self, sent: Sent, answer: Answer | None) -> Iterator[str]:
        if answer is not None and answer.content == {"message": "404 page not found"}:
            yield f"{sent.method} {sent.path} does not exist"
        known = FILTERS.get(f"/{sent.path.split('/')[-1]}")
        if sent.method == "GET" and known is not None:
            unknown = sent.query.keys() - known - {"page", "per_page"}
            yield from (f"{sent.method} {sent.path} has no parameter {name}" for name in unknown)
        for route, (needed, others) in KEYS.items():
            method, end = route.replace("/{id}", "").replace("/{sha}", "").split()
            if sent.method == method and end in {f"/{part}" for part in sent.path.split("/")[-2:]}:
                keys = set(sent.body)
                yield from (f"{sent.method} {sent.path} lacks {key}" for key in needed - keys)
                yield from (f"{sent.method} {sent.path} has no key {key}" for key in keys - needed - others)
                return
        if sent.body is not None:
            yield f"{sent.method} {sent.path} takes no body"

    def actor(self, sent: Sent) -> FakeAccount:
        if sent.token is None:
            raise Refused(401, "401 Unauthorized")
        return self.tokens[sent.token]

    def thread_of(self, repository: FakeRepository, sent: Sent, number: int) -> FakeThread:
        kind = "issue" if "/issues/" in sent.path else "change"
        thread = repository.threads.get(number)
        if thread is None or thread.kind != kind:
            raise Refused(404, "404 Not found")
        return thread

    def render_account(self, account: FakeAccount) -> dict[str, Any]:
        state = self.states.get(account.id, "active")
        return {"id": account.id, "username": account.login, "name": "", "state": state, "locked": False}

    def render_note(self, comment: FakeComment, thread: FakeThread) -> dict[str, Any]:
        return {
            "id": comment.id,
            "type": comment.type,
            "body": comment.body,
            "author": self.render_account(comment.author),
            "created_at": stamp(comment.created),
            "updated_at": stamp(comment.updated),
            "system": comment.system,
            "noteable_id": thread.number + 1000,
            "noteable_type": "Issue" if thread.kind == "issue" else "MergeRequest",
            "noteable_iid": thread.number,
            "confidential": comment.internal,
            "internal": comment.internal,
        }

    def render_thread(self, repository: FakeRepository, thread: FakeThread) -> dict[str, Any]:
        mark, path = ("#", "issues") if thread.kind == "issue" else ("!", "merge_requests")
        shown = {
            "id": thread.number + 1000,
            "iid": thread.number,
            "project_id": repository.id,
            "title": thread.title,
            "description": thread.body,
            "created_at": stamp(thread.created),
            "updated_at": stamp(changed_at(repository, thread)),
            "labels": labels(repository, thread),
            "assignees": [self.render_account(each) for each in people(repository, thread, "assigned")],
            "state": "merged" if thread.merged else "opened" if thread.is_open else "closed",
            "discussion_locked": thread.locked or None,
            "author": self.render_account(thread.author),
            "references": {"short": f"{mark}{thread.number}", "full": f"{repository.name}{mark}{thread.number}"},
            "web_url": f"{self.url}/{repository.name}/-/{path}/{thread.number}",
        }
        if thread.kind == "issue":
            return shown | {"moved_to_id": thread.moved_to, "confidential": thread.confidential}
        source = thread.source_repository
        return shown | {
            "source_branch": thread.head,
            "target_branch": thread.base,
            "sha": thread.head_sha,
            "draft": thread.draft,
            "reviewers": [self.render_account(each) for each in people(repository, thread, "review_requested")],
            "source_project_id": None if source is None else source or repository.id,
            "target_project_id": repository.id,
        }

    def get_user(self, sent: Sent) -> Answer:
        return Answer(200, self.render_account(self.actor(sent)))

    def get_token(self, sent: Sent) -> Answer:
        actor = self.actor(sent)
        token = {"id": 4, "name": "stitcher", "revoked": False, "active": True, "user_id": actor.id}
        return Answer(200, token | {"scopes": self.scopes, "expires_at": "2026-12-24"})

    def get_account(self, _sent: Sent, id_: int) -> Answer:
        if id_ not in self.accounts:
            raise Refused(404, "404 User Not Found")
        return Answer(200, self.render_account(self.accounts[id_]))

    def get_project(self, sent: Sent, repository: FakeRepository) -> Answer:
        project = {"id": repository.id, "path_with_namespace": repository.name, "default_branch": "main"}
        level = repository.levels.get(self.actor(sent).id) if sent.token else None
        member = {"access_level": ACCESS_LEVELS[level], "notification_level": 3} if level else None
        return Answer(200, project | {"permissions": {"project_access": member, "group_access": None}})

    def get_member(self, _sent: Sent, repository: FakeRepository, id_: int) -> Answer:
        if id_ not in repository.levels:
            raise Refused(404, "404 Not found")
        member = self.render_account(self.accounts[id_])
        return Answer(200, member | {"access_level": ACCESS_LEVELS[repository.levels[id_]], "expires_at": None})

    def get_thread(self, sent: Sent, repository: FakeRepository, number: int) -> Answer:
        return Answer(200, self.render_thread(repository, self.thread_of(repository, sent, number)))

    def create_note(self, sent: Sent, repository: FakeRepository, number: int) -> Answer:
        thread, actor = self.thread_of(repository, sent, number), self.actor(sent)
        if thread.locked and repository.levels.get(actor.id) is None:
            raise Refused(403, "403 Forbidden - the discussion is locked")
        return Answer(201, self.render_note(self.add_comment(thread, actor, sent.body["body"]), thread))

    def edit_note(self, sent: Sent, repository: FakeRepository, _number: int, id_: int) -> Answer:
        thread, comment = self.find_comment(repository, id_)
        comment.body, comment.updated = sent.body["body"], self.now()
        return Answer(200, self.render_note(comment, thread))

    def delete_note(self, _sent: Sent, repository: FakeRepository, _number: int, id_: int) -> Answer:
        thread, comment = self.find_comment(repository, id_)
        thread.comments.remove(comment)
        return Answer(204)

    def _reactions(self, sent: Sent, repository: FakeRepository, number: int, note: int | None) -> set[tuple[int, str]]:
        if note is None:
            return self.thread_of(repository, sent, number).reactions
        return self.find_comment(repository, note)[1].reactions

    def get_reactions(self, sent: Sent, repository: FakeRepository, number: int, note: int | None = None) -> Answer:
        found = self._reactions(sent, repository, number, note)
        return Answer(
            200, [{"id": 1, "name": name, "user": self.render_account(self.accounts[id_])} for id_, name in found]
        )

    def react(self, sent: Sent, repository: FakeRepository, number: int, note: int | None = None) -> Answer:
        reactions = self._reactions(sent, repository, number, note)
        actor = self.actor(sent)
        if (actor.id, sent.body["name"]) in reactions:
            raise Refused(404, "404 Award Emoji Name has already been taken Not Found")
        reactions.add((actor.id, sent.body["name"]))
        return Answer(201, {"id": 1, "name": sent.body["name"], "user": self.render_account(actor)})

    def create_status(self, sent: Sent, repository: FakeRepository, sha: str) -> Answer:
        statuses, wanted = repository.statuses.setdefault(str(sha), []), sent.body["state"]
        current = next((each["state"] for each in statuses if each["name"] == sent.body["name"]), None)
        if current == wanted or current in BACKWARDS.get(wanted, ()):
            raise Refused(400, f"Cannot transition status via :enqueue from :{current} (Reason(s): Status cannot)")
        statuses[:] = [sent.body, *(each for each in statuses if each["name"] != sent.body["name"])]
        return Answer(201, {"id": 1, "sha": sha, "status": wanted, "name": sent.body["name"]})

    def get_statuses(self, sent: Sent, repository: FakeRepository, sha: str) -> Answer:
        found = [each for each in repository.statuses.get(str(sha), ()) if each["name"] == sent.query["name"]]
        return Answer(200, [{"id": 1, "name": each["name"], "status": each["state"]} for each in found])

    def _changes(self, repository: FakeRepository, head: str, base: str) -> list[FakeThread]:
        changes = (each for each in repository.threads.values() if each.kind == "change")
        return [each for each in changes if (each.head, each.base) == (head, base)]

    def create_merge_request(self, sent: Sent, repository: FakeRepository) -> Answer:
        body = sent.body
        if body["target_branch"] in repository.deleted_branches:
            raise Refused(400, {"target_branch": ["does not exist"]})
        if any(each.is_open for each in self._changes(repository, body["source_branch"], body["target_branch"])):
            raise Refused(409, "Another open merge request already exists for this source branch: !480")
        number = max(repository.threads) + 1
        change = FakeThread(number, "change", self.actor(sent), body["title"], body.get("description", ""))
        change.head, change.base = body["source_branch"], body["target_branch"]
        change.draft = body["title"].startswith("Draft: ")
        repository.threads[number] = change
        return Answer(201, self.render_thread(repository, change))

    def get_hooks(self, _sent: Sent, repository: FakeRepository) -> Answer:
        return Answer(200, repository.hooks)
