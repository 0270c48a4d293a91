"""The command grammar: a line `@bot verb free text`, in the plain text of a comment."""

import re
from functools import lru_cache

from stitcherd.sources.markdown_text import plain_lines
from stitcherd.sources.names import mention
from stitcherd.trigger import Command

LONGEST = 65_536  # characters; GitHub's own limit of a comment


def commands_of(text: str, bot: str | None) -> tuple[Command, ...]:
    """Return the commands of a comment in order; quoted, coded and hidden lines hold none.

    Takes time linear in the text; one that is longer than `LONGEST` holds no commands.
    """
    if bot is None or len(text) > LONGEST or f"@{mention(bot)}".lower() not in text.lower():
        return ()
    line_pattern = _line_pattern(mention(bot))
    found = (line_pattern.fullmatch(line) for line in plain_lines(text))
    return tuple(Command(match[1].lower(), (match[2] or "").strip()) for match in found if match)


@lru_cache(maxsize=32)
def _line_pattern(bot: str) -> re.Pattern[str]:
    # ASCII: a look-alike letter or an invisible one must not make a match.
    return re.compile(
        rf" {{0,3}}@{re.escape(bot)}[:,]?[ \t]+([a-z][a-z0-9_-]*)(?:[ \t]+(.*))?", re.ASCII | re.IGNORECASE
    )
