"""The line of every key, for documents with known lines and for arbitrary texts."""

import tomllib
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stitcherd.config.errors import KeyPath
from stitcherd.config.toml_lines import DuplicateKey, KeyLines, key_lines

SAMPLE = '''\
# [not.a.table]
first = """
first = 0
[daemon]""""
daemon.'grace' = "30s"   # the prefix stands here too
list = [ [1, 2], # ]
  {a = "}", b = {c = 1}},

  """
  ]""",
]
[sources."qu\\u006fted.name" . secrets]
when = 1979-05-27 07:32:00
[[tokens]]
name = 'a#"'
[tokens.more]
deep.er = 1
[[tokens]]
name = "b"
'''


def test_every_form_of_key_is_found_at_its_line() -> None:
    name = "quoted.name"
    assert key_lines(SAMPLE).lines == {
        ("first",): 2,
        ("daemon",): 5,
        ("daemon", "grace"): 5,
        ("list",): 6,
        ("list", 0): 6,
        ("list", 0, 0): 6,
        ("list", 0, 1): 6,
        ("list", 1): 7,
        ("list", 1, "a"): 7,
        ("list", 1, "b"): 7,
        ("list", 1, "b", "c"): 7,
        ("list", 2): 9,
        ("sources",): 12,
        ("sources", name): 12,
        ("sources", name, "secrets"): 12,
        ("sources", name, "secrets", "when"): 13,
        ("tokens",): 14,
        ("tokens", 0): 14,
        ("tokens", 0, "name"): 15,
        ("tokens", 0, "more"): 16,
        ("tokens", 0, "more", "deep"): 17,
        ("tokens", 0, "more", "deep", "er"): 17,
        ("tokens", 1): 18,
        ("tokens", 1, "name"): 19,
    }
    tomllib.loads(SAMPLE)


def test_a_missing_key_has_the_line_of_its_table() -> None:
    where = key_lines("\n[sources.hub]\nkind = 1\n")
    assert where.line(("sources", "hub", "secrets", 0, "env")) == 2
    assert where.line(("tokens",)) == 1


@pytest.mark.parametrize(
    ("text", "twice"),
    [
        ("a = 1\n[b]\na = 1", None),
        ("[[a]]\nb = 1\n[[a]]\nb = 1", None),
        ("[a.b]\n[a]", None),
        ("a = 1\n\na = 1", DuplicateKey(("a",), 3, 1)),
        ("[a]\nb.c = 1\nb.'c' = 1", DuplicateKey(("a", "b", "c"), 3, 2)),
        ("a = 1\na = 1\n[b]\n[b]", DuplicateKey(("a",), 2, 1)),
    ],
)
def test_duplicates_are_found(text: str, twice: DuplicateKey | None) -> None:
    assert key_lines(text).duplicate == twice


@given(st.text() | st.text(alphabet="[]{}=.,\"'\n\r\t #a1\\"))
def test_any_text_is_scanned(text: str) -> None:
    lines = text.count("\n") + 1
    assert all(1 <= line <= lines for line in key_lines(text).lines.values())


@pytest.mark.parametrize("opening", ["[", "{a=", "a = [", "a.", '"', "'''", "a={b="])
def test_any_depth_is_scanned(opening: str) -> None:
    assert isinstance(key_lines("a = " + opening * 20_000), KeyLines)


KEYS = st.from_regex(r"\A[a-z0-9_-]{1,4}\Z") | st.sampled_from(["", "a b", "a.b", 'a"b', "ü", "[x]", "a=b", "#"])
WORDS = st.sampled_from(["", "x", "a = 1", "[t]", "\n[t]\na = 1\n", "it's", 'say "so"', "#", "\\", "]\n}", "\n\n"])
LEAVES = WORDS | st.integers() | st.booleans()
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
TABLES = st.dictionaries(KEYS, VALUES, max_size=4)
DOCUMENTS = st.dictionaries(KEYS, TABLES | st.lists(TABLES, min_size=1, max_size=3), max_size=4)


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\n", "\\n") + '"'


class Writer:
    """Writes a document in a form left to chance, and notes the line of everything it writes."""

    def __init__(self, chance: Random) -> None:
        self.choose = chance.choice
        self.text = ""
        self.lines: dict[KeyPath, int] = {}

    def document(self, document: dict[str, Any]) -> None:
        for name, tables in document.items():
            for index, table in enumerate(tables if isinstance(tables, list) else [tables]):
                self.text += self.choose(["", "\n", "# [x]\n", "\t\r\n"])
                path = self.note((name,))
                if isinstance(tables, list):
                    path = self.note((name, index))
                    self.text += f"[[ {self.key(name)} ]]\n"
                else:
                    self.text += f"[{self.key(name)}] # 'c\n"
                for key, value in table.items():
                    self.pair((*path, key), value)
                    self.text += self.choose(["\n", " # b = [\n", "\n\n"])

    def note(self, path: KeyPath) -> KeyPath:
        self.lines.setdefault(path, self.text.count("\n") + 1)
        return path

    def key(self, key: str) -> str:
        return key if key.isascii() and key.replace("-", "").replace("_", "").isalnum() else quoted(key)

    def pair(self, path: KeyPath, value: object) -> None:
        self.note(path)
        self.text += self.key(str(path[-1])) + self.choose(["=", " = "])
        self.value(path, value)

    def value(self, path: KeyPath, value: object) -> None:
        if isinstance(value, list):
            self.text += "["
            for index, each in enumerate(value):
                self.text += self.choose(["", "\n", " # ]\n  "])
                self.value(self.note((*path, index)), each)
                self.text += self.choose([",", "\n,", ", "])
            self.text += "]"
        elif isinstance(value, dict):
            self.text += "{"
            for index, (key, each) in enumerate(value.items()):
                self.text += ", " if index else " "
                self.pair((*path, key), each)
            self.text += "}"
        elif isinstance(value, str):
            self.text += self.choose(list(forms(value)))
        else:
            self.text += str(value).lower()


def forms(value: str) -> Iterator[str]:
    yield quoted(value)
    if not value.startswith("\n"):
        yield '"""' + value.replace("\\", "\\\\").replace('"', '\\"') + '"""'
    yield '"""\n' + value.replace("\\", "\\\\") + '"""'
    if "'''" not in value and not value.startswith("\n"):
        yield "'''" + value + "'''"
    if "\n" not in value and "'" not in value:
        yield f"'{value}'"


@given(document=DOCUMENTS, seed=st.integers())
def test_in_any_document_every_key_is_found_at_its_line(document: dict[str, Any], seed: int) -> None:
    writer = Writer(Random(seed))
    writer.document(document)
    assert tomllib.loads(writer.text) == document
    assert key_lines(writer.text) == KeyLines(writer.lines, None)
