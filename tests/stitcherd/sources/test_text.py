"""Commands in comments, checked against CommonMark's reference parser."""

import re
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from stitcherd.sources.text import COMMENT_MAX, ignore_own_text, parse_commands
from stitcherd.sources.trigger import Command, Trigger


def verbs(text: str, bot: str = "mosaic") -> list[str]:
    return [command.verb for command in parse_commands(text, bot)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@mosaic fix", Command("fix", "")),
        ("@mosaic fix please", Command("fix", "please")),
        ("   @Mosaic: FIX \t the  last row  ", Command("fix", "the  last row")),
        ("@mosaic, re-run_2 x", Command("re-run_2", "x")),
        ("@mosaic\tfix\tit", Command("fix", "it")),
        ("thanks!\r\n@mosaic fix\r\nbye", Command("fix", "")),
        ("see `rows.py`, arr[0 and <br>\n@mosaic fix `last` [0, 1)", Command("fix", "`last` [0, 1)")),
        ("> quoted\n\n@mosaic fix", Command("fix", "")),
        ("```\n@mosaic no\n```\n@mosaic fix", Command("fix", "")),
        ("````\n```\n@mosaic no\n````\n@mosaic fix", Command("fix", "")),
        ("<!-- @mosaic no -->\n@mosaic fix", Command("fix", "")),
        ("<!--\n\n@mosaic no\n\n-->\n@mosaic fix", Command("fix", "")),
        ("<pre>\n@mosaic no\n</pre>\n@mosaic fix", Command("fix", "")),
        ('<img width="1" src="https://x.test/a.png" />\n@mosaic fix', Command("fix", "")),
        ("<details>\n\n@mosaic fix\n\n</details>", Command("fix", "")),
        ("- one\n- two\n\n@mosaic fix", Command("fix", "")),
        ("- ```\n  @mosaic no\n  ```\n\n@mosaic fix", Command("fix", "")),
        ("@mosaic fix\n-- \nsent from afar", Command("fix", "")),
        ("`open\n\n@mosaic fix\n\n`", Command("fix", "")),
    ],
)
def test_a_plain_line_is_a_command(text: str, expected: Command) -> None:
    assert parse_commands(text, "mosaic") == (expected,)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@mosaic",
        "@mosaic ",
        "@mosaic\nfix",
        "maybe @mosaic fix this later",
        "ops@mosaic fix",
        "@mosaicfoo fix",
        "@mosaic-bot fix",
        "@mosaic.bot fix",
        "@mosaic_ fix",
        "@mosaic/team fix",
        "@ mosaic fix",
        "@mosaic 2fix",
        "@mosaic fix!",
        "- @mosaic fix",
        "# @mosaic fix",
        "\\@mosaic fix",
        "**@mosaic fix**",
        "    @mosaic fix",
        "\t@mosaic fix",
        "a\n    @mosaic fix",
        "> @mosaic fix",
        ">@mosaic fix",
        "> a\n@mosaic fix",
        "> > a\n@mosaic fix",
        "- > a\n@mosaic fix",
        "```\n@mosaic fix\n```",
        "```\n@mosaic fix",
        "~~~ sh\n@mosaic fix\n```\n@mosaic fix\n",
        "````\n@mosaic fix\n```\n@mosaic fix",
        "- ```\n  @mosaic fix",
        "- ```\ncode\n```\n@mosaic fix",
        "> ```\n\n```\n@mosaic fix",
        "`@mosaic fix`",
        "`a\n@mosaic fix\nb`",
        "``a ` b\n@mosaic fix\nb``",
        "<!-- @mosaic fix -->",
        "<!--\n@mosaic fix\n-->",
        "<!--\n@mosaic fix",
        "see <!--\n@mosaic fix\n-->",
        "see <!-- this\n\n@mosaic fix",
        "<pre>\n\n@mosaic fix\n\n</pre>",
        "text <pre>\n@mosaic fix\n</pre>",
        "<code>\n@mosaic fix\n</code>",
        "<SCRIPT>\n@mosaic fix\n</script>",
        "<style>\n@mosaic fix",
        "<blockquote>\n@mosaic fix\n</blockquote>",
        '<img alt="\n@mosaic fix\n">',
        "![\n@mosaic fix\n](a.png)",
        '[a](/u "\n@mosaic fix\n")',
        "[a]: /u '\n@mosaic fix\n'",
        "x\u2028@mosaic fix",
        "x\x0b@mosaic fix",
        "\u200b@mosaic fix",
        "@\u200bmosaic fix",
        "@mos\u200baic fix",
        "@mosaic\u200b fix",
        "@mosaic fi\u200bx",
        "@mosaic fix\u200b",
        "@mosaic\u00a0fix",
        "\u202e@mosaic fix",
        "@mo\u017faic fix",
        "@mosa\u0131c fix",
        "\uff20mosaic fix",
        "@mosaic f\u0456x",
    ],
)
def test_other_lines_are_not_commands(text: str) -> None:
    assert parse_commands(text, "mosaic") == ()


def test_all_commands_in_order() -> None:
    assert verbs("@mosaic fix a\n@mosaic review b\n\n> @mosaic no\n\n@mosaic triage") == ["fix", "review", "triage"]


def test_any_account_may_be_the_bot() -> None:
    assert verbs("@a.b fix", "a.b") == ["fix"]
    assert verbs("@axb fix", "a.b") == []
    assert verbs("@mosaic fix", "mosaic[bot]") == ["fix"]
    assert parse_commands("@mosaic fix", None) == ()


def test_an_overlong_text_holds_no_commands() -> None:
    assert verbs("@mosaic fix".ljust(COMMENT_MAX)) == ["fix"]
    assert verbs("@mosaic fix".ljust(COMMENT_MAX + 1)) == []


prose = st.text(st.characters(codec="utf-8", exclude_characters="`~<>"), max_size=30)


@given(before=prose, text=prose, run=st.integers(3, 9), tick=st.sampled_from("`~"))
def test_fenced_text_never_holds_commands(before: str, text: str, run: int, tick: str) -> None:
    lines = re.split("[\r\n]+", text)
    inside = "\n".join(["@mosaic fix", *lines, "@mosaic fix"])
    assert verbs(f"{tick * run}\n{inside}\n{tick * run}") == []
    assert verbs("> " + inside.replace("\n", "\n> ")) == []
    assert verbs("    " + inside.replace("\n", "\n    ")) == []
    assert verbs(f"<!--{before}\n{inside}\n-->".replace("--\n>", "")) == []


MARKS = (
    "\n", "\n\n", " ", "    ", "\t", ">", "> ", "- ", "1. ", "2) ", "-", "```", "~~~", "````", "`", "``", "<!--", "-->",
    "<pre>", "</pre>", "<code>", "</code>", "<div>", "<b>", '<a b="', '">', "<a href='", "'>", "[", "]", "](", "](/u)",
    ")", "]: /u", '"', "===", "---", "***", "# ", "\\", "a", "<script>", "</script>", "<?", "?>", "<!A", "<x:y", "/>",
)  # fmt: skip
LINES = ("\n@mosaic fix ", "\n  @mosaic fix ", "\n\n@mosaic fix ", "@mosaic fix ")


@st.composite
def marked(draw: st.DrawFn) -> str:
    """Draw Markdown in which every command line has a number of its own."""
    parts = draw(st.lists(st.sampled_from(MARKS + LINES * 4), max_size=14))
    return "".join(f"{part}u{number}u" if part in LINES else part for number, part in enumerate(parts))


def shown(text: str) -> set[str]:
    """Return the numbers of the lines that CommonMark shows as plain words, or passes on as raw HTML."""
    found: set[str] = set()
    quotes = 0
    for token in MarkdownIt("commonmark").parse(text):
        quotes += (token.type == "blockquote_open") - (token.type == "blockquote_close")
        if quotes == 0 and token.type == "html_block":
            found.update(re.findall(r"u\d+u", token.content))
        elif quotes == 0 and token.type == "inline":
            words = [child.content for child in token.children or () if child.type == "text"]
            found.update(line[1] for word in words if (line := re.match(r"@mosaic fix (u\d+u)", word)))
    return found


@settings(max_examples=1500, derandomize=True, deadline=None)
@given(marked())
def test_no_command_where_commonmark_has_no_plain_line(text: str) -> None:
    found = {re.findall(r"^u\d+u", command.text)[0] for command in parse_commands(text, "mosaic")}
    assert found <= shown(text)


@given(st.text(st.sampled_from("@mosaic fix`~<>!-\n\t[]()\\\"'&;#*_=+1.\u200b\x00\r"), max_size=300))
def test_no_text_raises(text: str) -> None:
    parse_commands(text + "\n@mosaic fix", "mosaic")


@pytest.mark.parametrize(
    "unit",
    ["`", "` ", "``` ", "<!--", "-->", "<a b='", '<a b="x" ', ">", "- + ", "[", "[a](", "<", "<?", "<!A", "<![CDATA[",
     "<code>", "\n", "* ", "\\`", "<a@", "<ht:", "1. x\n", "- x\n  ", "@mosaic fix\n"],
)  # fmt: skip
def test_parsing_takes_linear_time(unit: str) -> None:
    for start in ("", "- + " * 20 + "\n", "[" + "a" * 20_000 + "\n"):
        text = f"@mosaic fix\n{start}{unit * COMMENT_MAX}"[: COMMENT_MAX - 20] + "\n@mosaic fix\n"
        began = time.process_time()
        parse_commands(text, "mosaic")
        assert time.process_time() - began < 2  # a tenth of this is usual; what is not linear takes minutes


@pytest.mark.parametrize(
    ("own", "more", "ignored"),
    [
        ("7", {}, True),
        ("8", {}, False),
        (None, {}, False),
        ("7", {"name": "push"}, False),
        ("9", {"author": "hub:eve"}, True),
    ],
)
def test_what_our_own_account_wrote_is_ignored_by_its_id(own: str | None, more: dict[str, Any], ignored: bool) -> None:
    ids = {"hub:renamed": ("7",), "hub:eve": ("9",)}
    about: dict[str, Any] = {"sender": "hub:Renamed", "author": "hub:Renamed", "name": "issue.comment"}
    trigger = Trigger(source="hub", event="issue_comment", account_ids=ids, **about | more)
    assert (ignore_own_text(trigger, own, "mosaic").unusable == "written by mosaic itself") is ignored
