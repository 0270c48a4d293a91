"""Which accounts are bots, as far as their names tell: bots that ask in a row on one thread must rest."""

import re

from shared.models import Check, Outcome

LOOP = Check("limit:loop", "limit", Outcome.PASS, None, None, "few in a row", "a bot asks: the next ones wait longer")
LOOP_UNREACHED = Check("limit:loop", "limit", Outcome.UNREACHED, None, None, LOOP.wanted)

# GitHub's apps end with [bot]; GitLab's tokens are project_7_bot_9f2c; others are named by their owners.
_BOT = re.compile(
    r"\[bot\]\Z|(?:^|[-_.])(?:ro)?bots?(?:[-_.][0-9a-f]+)?\Z|\A(?:gitea|forgejo|github)-actions\Z", re.IGNORECASE
)


def is_bot(account: str | None) -> bool:
    """Say whether an account is a bot's; a person's that looks like one is held up by nothing but a rest."""
    return account is not None and _BOT.search(account.partition(":")[2]) is not None
