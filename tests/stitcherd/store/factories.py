"""A job as it is handed to the store, for tests that care for one or two things of it."""

from typing import Any

from shared.ids import new_id
from stitcherd.store.jobs import NewJob


def new_job(**more: Any) -> NewJob:
    usual: dict[str, Any] = {
        "id": new_id(),
        "workspace": "default",
        "type": "fix",
        "profile": "weaver",
        "executor": "agent",
        "priority": 5,
        "repository": None,
        "ref": None,
        "thread": None,
        "prompt": "",
        "metadata": {},
        "tries_max": 2,
        "on_interrupt": "fail",
        "rails_revision": "r1",
        "actor": "uid:0",
        "origin": {},
    }
    return NewJob(**usual | more)
