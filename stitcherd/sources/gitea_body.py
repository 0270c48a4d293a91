"""Where a Gitea or Forgejo body differs from GitHub's; all else is read as the same.

Shapes: go-gitea/gitea, modules/structs/hook.go. Old versions leave out `is_pull`, and a pull request may have its
number only beside it; a review says neither who wrote it nor when.
"""

from msgspec import UNSET, Struct, field
from msgspec.structs import replace

from stitcherd.sources import github_body
from stitcherd.sources.github_body import Present, Run, Text, User
from stitcherd.sources.names import Sha, ThreadNumber


class Topic(github_body.Topic, frozen=True):
    """An issue or a pull request, with all who are assigned."""

    assignee: User | None = None
    assignees: tuple[User | None, ...] | None = None

    @property
    def assigned(self) -> tuple[User | None, ...]:
        """All who are assigned: which of them is new is not said."""
        return self.assignees or (self.assignee,)


class Review(Struct, frozen=True):
    """A review of a change."""

    text: str | None = field(default=None, name="content")


class Body(github_body.Envelope, frozen=True):
    """What the events have for which there is a word."""

    number: ThreadNumber | None = None
    is_pull: bool | None = None
    issue: Topic | None = None
    pull_request: Topic | None = None
    comment: Text | None = None
    review: Review | None = None
    requested_reviewer: User | None = None
    ref: str | None = None
    after: Sha | None = None
    workflow_run: Run | None = None
    sha: Sha | None = None
    state: str | None = None


def as_github(seen: Body) -> github_body.Body:
    """Return the body as GitHub would have sent it."""
    issue, change = seen.issue, seen.pull_request
    if issue and seen.is_pull:
        issue = replace(issue, pull_request=Present())
    if change and change.number is UNSET and seen.number is not None:
        change = replace(change, number=seen.number)
    return github_body.Body(
        action=seen.action,
        sender=seen.sender,
        repository=seen.repository,
        issue=issue,
        pull_request=change,
        comment=seen.comment,
        review=Text(seen.review.text, seen.sender) if seen.review else None,
        requested_reviewer=seen.requested_reviewer,
        ref=seen.ref,
        after=seen.after,
        workflow_run=seen.workflow_run,
        sha=seen.sha,
        state=seen.state,
    )
