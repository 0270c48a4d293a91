from pathlib import Path

import pytest

from stitcherd.rails.load import RailsError, load_rails, parse_rails
from tests.stitcherd.rails.contexts import CONTEXT

EXAMPLE = Path(__file__).parents[3].parent / "shared" / "rails.example.yaml"

STATES_LISTED = "hidden_text, draft, closed, or locked"
# Each fault is made by one replacement in every_word.yaml.
FAULTS = [
    ("version: 1", "version: 2", 1, 10, "version must be 1, not the number 2"),
    ("version: 1", "version: true", 1, 10, "version must be a whole number, not true"),
    ("version: 1", "version:", 1, 1, "version is missing"),
    (
        "mode: enforce",
        "mode: enforced",
        2,
        7,
        "mode must be enforce or observe, not 'enforced' (did you mean enforce?)",
    ),
    ("mode: enforce", "mood: enforce", 2, 1, "unknown key 'mood' (did you mean mode?)"),
    ("mode: enforce", "version: 1", 2, 1, "the key 'version' is already on line 1"),
    ("mode: enforce", "mode: *up", 2, 7, "there is no anchor &up before this alias"),
    ("mode: enforce", "mode: !!str enforce", 2, 7, "tags like tag:yaml.org,2002:str are not supported"),
    ("mode: enforce", "\tmode: enforce", 2, 1, "a tab cannot indent or start a value in YAML: use spaces"),
    ("mode: enforce", ": enforce", 2, 1, "a key is missing before this ':'"),
    ("mode: enforce", "<<: {mode: enforce}", 2, 1, "merge keys (<<) are not supported: write the keys out"),
    ("mode: enforce", "[a]: b", 2, 1, "a key must be plain text"),
    ("mode: enforce", "---\nmode: enforce", 2, 1, "a second document starts here: the file must be one document"),
    ("mode: enforce", "mode: \0", 2, 7, "the character U+0000 is not allowed in YAML"),
    ("mode: enforce", "mode: a: b", 2, 8, "this is not YAML: mapping values are not allowed here"),
    (
        '"forge:ann"',
        "ann",
        4,
        18,
        "'ann' is not an account: write source:login, like github:octocat, or source:login#id",
    ),
    ('"forge:ann"', "7", 4, 18, "an item of users must be text, not the number 7"),
    ('["forge:ann", "forge:bob[bot]"]', "ann", 4, 17, "users must be a list, like [one, two], not 'ann'"),
    (
        "sources: [home]",
        "sources: [home]}\n  no good: {",
        6,
        3,
        "'no good' is not a name: use letters, digits, - and _",
    ),
    ("permission: admin", "permission: owner", 6, 24, "permission must be read, write or admin, not 'owner'"),
    ("git:commit]", "git:comit]", 9, 43, "unknown capability 'git:comit' (did you mean git:commit?)"),
    (
        "timeout: 90s",
        "timeout: 90",
        11,
        14,
        "timeout must be text, not the number 90",
    ),
    ("timeout: 90s", "timeout: 0s", 11, 14, "'0s' must be more than 0: write a duration like 10m"),
    (
        "timeout: 90s",
        "timeout: soon",
        11,
        14,
        "'soon' is not a duration: write a whole number and a unit, like 500ms, 30s, 10m, 24h or 90d",
    ),
    ("[LANG_SERVER]", "[LANG-SERVER]", 12, 11, "'LANG-SERVER' is not the name of an environment variable"),
    ("executor: remote\n    tools: [read]\n    model: some/model", "model: x", 14, 5, "executor is missing from caged"),
    ("memory: 2GiB", "memory: 0B", 21, 13, "'0B' must be more than 0: write a size like 512MiB"),
    ("[/opt/tools]", "[tools]", 20, 14, "'tools' is not an absolute path"),
    ("processes: 64", "processes: 0", 22, 16, "processes must be at least 1"),
    ("profile: careful", "profile: carefull", 25, 19, "unknown profile 'carefull' (did you mean careful?)"),
    (
        "needs: [repo:write]",
        "needs: [exec:run]",
        25,
        36,
        "profile 'careful' does not have exec:run, which job mend needs: add it on line 9",
    ),
    ("gates: [scope, unit]", "gates: [scope, unti]", 25, 64, "unknown gate 'unti' (did you mean unit?)"),
    ("tries: 2", "tries: 2.5", 25, 78, "tries must be a whole number, not the number 2.5"),
    (
        "on_interrupt: retry",
        "on_interrupt: again",
        25,
        95,
        "on_interrupt must be fail or retry, not 'again'",
    ),
    ("change.comment]", "change.coment]", 29, 25, "unknown event 'change.coment' (did you mean change.comment?)"),
    ("[issue.assigned]", "[]", 35, 9, "on must not be empty"),
    (
        "command: mend",
        "command: Mend it",
        30,
        14,
        "'Mend it' is not a command: use lowercase letters, digits, - and _, and start with a letter",
    ),
    ("command: mend", "command:", 30, 5, "command has no value: write one, or remove it"),
    (
        '["acme/*", "!acme/vault"]',
        '["!acme/vault"]',
        31,
        12,
        'globs that only exclude match nothing: put "*" before them',
    ),
    ("[crew, house, chiefs]", "[crew, hose]", 32, 18, "unknown group 'hose' (did you mean house?)"),
    ("    from: [crew, house, chiefs]\n", "", 28, 5, "from is missing from an item of triggers"),
    ("    job: read", "    job: reed", 43, 10, "unknown job 'reed' (did you mean read?)"),
    (
        "id: mend-on-assign",
        "id: mend-on-word",
        34,
        9,
        "two triggers have the id 'mend-on-word': the first is on line 28",
    ),
    (
        'assignee: "@bot"',
        "assignee: me",
        36,
        15,
        "'me' is not an assignee: write @bot, or source:login like github:octocat",
    ),
    ("then: deny", "then: refuse", 52, 11, "then must be allow, require-approval or deny, not 'refuse'"),
    (
        "if: {labels_any: [nice]}",
        "if: {}",
        55,
        9,
        f"a guard needs a condition: author_of with not_in, change_from_fork, labels_any, {STATES_LISTED}",
    ),
    (
        ", not_in: [crew, house]",
        "",
        46,
        9,
        "author_of and not_in must be set together: whose text, and outside which groups",
    ),
    ("change_from_fork: true", "change_from_fork: false", 51, 9, "change_from_fork must be true, or removed"),
    ("change_from_fork: true", "closed: false", 51, 9, "closed must be true, or removed"),
    ("by: [chiefs]", "by: [chief]", 48, 10, "unknown group 'chief' (did you mean chiefs?)"),
    ("expires: 24h", "expires: -1h", 57, 40, None),
    ("per_thread: 4/m", "per_thread: 4/w", 60, 55, "'4/w' is not a rate: write it like 6/h, per s, m, h or d"),
    ("usd: 40.5", "usd: .inf", 61, 57, "usd must be a number, not '.inf'"),
    ("builtin: diff-rules", "builtin: diff", 67, 20, "unknown built-in gate 'diff': there is diff-rules"),
    ("{builtin: diff-rules}", "{}", 67, 10, "a gate needs either run or builtin"),
    ("[make, test]", "[sleep, 5]", 68, 23, "an item of run must be text, not the number 5"),
    ("[make, test]", "[]", 68, 15, "run must not be empty"),
    ("[Makefile]", "[../Makefile]", 68, 83, "'../Makefile' is not a path inside the repository, like pyproject.toml"),
    (
        "{output: ok}",
        "{output: 'a('}",
        68,
        127,
        "'a(' is not a regular expression: missing ), unterminated subpattern at position 1",
    ),
    ("{output: ok}", "{output: '(?:(?:a?){9999}){9999}'}", 68, 127, None),
    ("{output: ok}", "{output: 'a*'}", 68, 127, None),
    ("{output: ok}", "{output: ''}", 68, 127, None),
    ("{output: ok}", "{}", 68, 118, None),
    ("{output: ok}", f"{{output: {'x' * 201}}}", 68, 127, "a pattern may have 200 characters, and this one has 201"),
    ("explain_denials_to: [crew]", "explain_denials_to: [crow]", 74, 24, "unknown group 'crow' (did you mean crew?)"),
]


@pytest.mark.parametrize(("good", "bad", "line", "column", "message"), FAULTS, ids=[each[1] for each in FAULTS])
def test_a_fault_has_its_place_and_sentence(
    every_word: str, good: str, bad: str, line: int, column: int, message: str | None
) -> None:
    assert every_word.count(good) >= 1
    with pytest.raises(RailsError) as caught:
        parse_rails(every_word.replace(good, bad, 1), CONTEXT)
    error = caught.value
    assert str(error) == f"rails.yaml:{line}:{column}: {message or error.message}"
    assert (error.line, error.column) == (line, column)
    assert error.faults[0].message == error.message


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", "---\n", "{}"])
def test_an_empty_file_is_told_what_it_needs(text: str) -> None:
    with pytest.raises(RailsError, match=r"^rails\.yaml:1:1: empty: rails need at least version: 1$"):
        parse_rails(text, CONTEXT)


def test_version_alone_and_empty_sections_are_valid() -> None:
    sections = ["people", "profiles", "jobs", "triggers", "guards", "approvals", "limits", "paths", "gates"]
    assert parse_rails("version: 1\n", CONTEXT).mode == "enforce"
    assert parse_rails("version: 1\n" + "".join(f"{each}:\n" for each in sections), CONTEXT).warnings == ()


def test_several_faults_are_in_the_order_of_the_file(every_word: str) -> None:
    text = every_word.replace("retries: 1", "retries: -1").replace("mode: enforce", "mode: on")
    with pytest.raises(RailsError) as caught:
        parse_rails(text, CONTEXT, name="my.yaml")
    assert [(each.line, each.column) for each in caught.value.faults] == [(2, 7), (68, 51)]
    assert str(caught.value).startswith("my.yaml:2:7: mode must be")


def test_exponential_aliases_and_deep_nesting_are_refused() -> None:
    lines = ["version: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"k{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(RailsError, match="more than 20000 values"):
        parse_rails("\n".join(lines), CONTEXT)
    with pytest.raises(RailsError, match="nested more than 32 levels deep"):
        parse_rails("a: " + "[" * 100_000, CONTEXT)
    with pytest.raises(RailsError, match="the anchor &a cannot contain itself"):
        parse_rails("people: &a {b: *a}", CONTEXT)
    with pytest.raises(RailsError, match="longer than 1 MiB"):
        parse_rails("#" * (2**20 + 1), CONTEXT)


def test_anchors_are_supported(small: str) -> None:
    text = small.replace('["forge:ann"]', '&who ["forge:ann"]').replace("profiles:", "  more: {users: *who}\nprofiles:")
    assert parse_rails(text, CONTEXT).groups["more"].users == {"forge:ann"}


def test_plain_scalars_follow_the_core_schema() -> None:
    tail = "guards: [{id: a, then: deny, if: {labels_any: [yes, no, on, 2026-01-01, 1_0]}}]"
    assert list(parse_rails(f"%YAML 1.1\n---\nversion: 0x1\n{tail}", CONTEXT).guards[0].labels_any) == [
        "yes",
        "no",
        "on",
        "2026-01-01",
        "1_0",
    ]


def test_the_revision_is_a_hash_of_the_bytes(small: str) -> None:
    assert parse_rails("version: 1\n", CONTEXT).revision == "r-09bfcc6a"
    assert parse_rails(small, CONTEXT).revision != parse_rails(small + "\n", CONTEXT).revision


def test_an_unreadable_file_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "rails.yaml"
    with pytest.raises(RailsError, match=r"^rails\.yaml:1:1: cannot be read: no such file or directory$"):
        load_rails(path, CONTEXT)
    path.write_bytes(b"version: 1\nmode: \xff\n")
    with pytest.raises(RailsError, match=r"^rails\.yaml:2:1: not UTF-8 text$"):
        load_rails(path, CONTEXT)
    with pytest.raises(RailsError, match="cannot be read: is a directory"):
        load_rails(tmp_path, CONTEXT)
    path.write_text("version: 1\n")
    assert load_rails(path, CONTEXT).text == "version: 1\n"


@pytest.mark.skipif(not EXAMPLE.exists(), reason="the example is not beside the project")
def test_the_example_loads() -> None:
    book = load_rails(EXAMPLE, CONTEXT)
    assert list(book.jobs) == ["triage", "fix", "review"]
    assert book.profiles["weaver"].timeout == 2400.0
