"""The rails over the API: comparisons with earlier revisions."""

import hashlib
from itertools import count

from shared.ids import now_ms
from stitcherd.store.revisions import StoredRevisions
from tests.stitcherd.http.conftest import RAILS, HttpHarness


def texts_of_one_name() -> dict[str, str]:
    """Return two texts of rails by their digests, which begin with the same 8 digits."""
    seen: dict[str, tuple[str, str]] = {}
    for number in count():
        text = f"{RAILS}# {number}\n"
        digest = hashlib.sha256(text.encode()).hexdigest()
        if digest[:8] in seen:
            return dict([seen[digest[:8]], (digest, text)])
        seen[digest[:8]] = digest, text
    raise AssertionError


async def test_a_name_that_several_revisions_share_is_refused_until_it_is_longer(api: HttpHarness) -> None:
    texts = texts_of_one_name()
    for digest, text in texts.items():
        await StoredRevisions(api.state.store).save(digest, text, now_ms())
    name = f"r-{next(iter(texts))[:8]}"
    status, problem = await api.public.request("GET", f"/rails?against={name}", "third")
    assert (status, problem["code"]) == (409, "conflict")
    assert problem["detail"] == f"against: several rails are named {name}"
    assert problem["hint"] == "write more digits of its digest, up to all 64"
    for digest, text in texts.items():
        status, state = await api.public.request("GET", f"/rails?against=r-{digest}", "third")
        assert (status, state["beforeText"], state["beforeDigest"]) == (200, text, digest)
