"""docs/stitcherd-reference.md has every key of stitcherd.toml, as the models say."""

import re

from stitcherd.config.load import TABLES
from tools.settings_reference import FILE, reference


def test_the_reference_is_that_of_the_models() -> None:
    assert FILE.read_text("utf-8") == reference(), "run: make man"


def test_each_key_says_what_it_takes_and_what_it_means() -> None:
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", reference(), re.DOTALL | re.MULTILINE))
    assert list(sections) == list(TABLES)
    rows = {
        name: {
            key: tuple(cells)
            for key, *cells in re.findall(r"^\| `([a-z_0-9.]+)` \| (.*?) \| (.*?) \| (.*?) \|$", text, re.MULTILINE)
        }
        for name, text in sections.items()
    }
    for name, model in TABLES.items():
        written = {key.partition(".")[0] for key in rows[name]}
        named = {"name"} if name in {"daemon", "tokens"} else set()  # elsewhere it is the name of the table
        assert written == model.model_fields.keys() - {"name", "pattern"} | named
        assert [key for key, (takes, _, meaning) in rows[name].items() if not takes or not meaning] == []
    assert rows["daemon"]["grace"][:2] == ("a duration", "`30s`")
    assert rows["http"]["listen"][:2] == ("an address and a port", "`127.0.0.1:8466`")
    assert rows["http"]["max_body"][:2] == ("a size", "`1MiB`")
    assert rows["sources"]["secrets"][:2] == ("a list of secrets", "")
    assert rows["sources"]["app.key"][:2] == ("a secret", "*required*")
    assert rows["executors"]["kind"][0] == "`acp`, `command`, `openclaw`"
    assert rows["repositories"]["prepare"][0] == "a list of lists of texts"
