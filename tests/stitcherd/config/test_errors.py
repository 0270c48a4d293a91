"""Faults of stitcherd.toml: the line and the sentence of each."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stitcherd.config.load import SettingsError, load_settings
from stitcherd.config.toml_lines import TomlError, parse_toml
from stitcherd.configuration import SUPPORTED_KINDS

SOURCE = '[sources.hub]\nkind = "github"\n'
TOKEN = f'sha256 = "{"a" * 64}"\npermissions = ["jobs:read"]\n'


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("UNSET", raising=False)
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.setenv("GOOD", "a-good-secret")
    monkeypatch.setenv("LINES", "two\nlines")
    (tmp_path / "blank").write_text("\n")


def refused(directory: Path, text: str | bytes) -> SettingsError:
    content = text.encode() if isinstance(text, str) else text
    (directory / "stitcherd.toml").write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        load_settings(directory, SUPPORTED_KINDS)
    return caught.value


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("[daemon]\nworker = 4", 2, "unknown key 'worker' in [daemon] (did you mean workers?)"),
        (
            "[daemon]\nqqqqqq = 4",
            2,
            "unknown key 'qqqqqq' in [daemon]: it takes name, state_dir, socket, checkouts, workers, grace, log_max",
        ),
        ("\n[deamon]\n", 2, "unknown table [deamon] (did you mean [daemon]?)"),
        ("workers = 4", 1, "key 'workers' is outside of every table"),
        ("missing = true", 1, "key 'missing' is outside of every table"),
        ("daemon = 3", 1, "daemon must be a table, not a whole number"),
        ("[[sources]]\nkind = 3", 1, "sources must be a table, not a list"),
        ("[repositories]\na = 3", 2, "repositories.a must be a table, not a whole number"),
        ("[tokens]\nname = 'x'", 1, "tokens must be a list, not a table"),
        ('[daemon]\nworkers = "4"', 2, "daemon.workers must be a whole number, not text"),
        ("[daemon]\nworkers = true", 2, "daemon.workers must be a whole number, not true or false"),
        ("[daemon]\nworkers = 2.0", 2, "daemon.workers must be a whole number, not a number with a decimal point"),
        ("[daemon]\nworkers = 0", 2, "daemon.workers: must be at least 1"),
        ("[daemon]\nworkers = 65", 2, "daemon.workers must be at most 64"),
        ("daemon.grace = 30", 1, 'daemon.grace: needs a unit and quotes: "30s"'),
        ("daemon.grace = -30", 1, "daemon.grace: must be a duration like 30s, not a whole number"),
        ('daemon.grace = "30 s"', 1, "daemon.grace: '30 s' contains a space: write 30s"),
        ("daemon.grace = 30 s", 1, 'durations and sizes need quotes: "30s"'),
        ('daemon.log_max = "0B"', 1, "daemon.log_max: must be more than 0"),
        ("http.max_body = -1", 1, "http.max_body: must be more than 0"),
        ("http.max_body = true", 1, "http.max_body: must be a size like 64MiB, not true or false"),
        (r'daemon.socket = "a\u0000"', 1, "daemon.socket: must not contain a NUL byte"),
        ('daemon.state_dir = ""', 1, "daemon.state_dir: must not be empty"),
        ("daemon.socket = 1979-05-27", 1, "daemon.socket: must be a path as text, not a date or time"),
        ('retention.dedupe = "0d"', 1, "retention.dedupe: must be more than 0"),
        ('http.hosts = [\n"a",\n3]', 3, "an item of http.hosts must be text, not a whole number"),
        (
            'http.hosts = ["https://x"]',
            1,
            "http.hosts: 'https://x' is not a host name: leave out scheme, port and path",
        ),
        ('http.hosts = ["."]', 1, "http.hosts: '.' is neither a host name nor an address"),
        ('http.hosts = ["[1::2::3]"]', 1, "http.hosts: '[1::2::3]' is neither a host name nor an address"),
        (SOURCE, 1, "secrets is missing from [sources.hub]"),
        (SOURCE + "secrets = []", 3, "sources.hub.secrets: must not be empty"),
        (SOURCE + "secrets = 'x'", 3, "sources.hub.secrets must be a list, not text"),
        (
            SOURCE + "secrets = [\n'hush']",
            4,
            'sources.hub.secrets: must be {env = "NAME"} or {file = "/path"}, not text',
        ),
        (SOURCE + "secrets = [{}]", 3, 'sources.hub.secrets: must be {env = "NAME"} or {file = "/path"}'),
        (
            SOURCE + "secrets = [{env = 'A', file = 'b'}]",
            3,
            'sources.hub.secrets: must be {env = "NAME"} or {file = "/path"}, not both',
        ),
        (
            SOURCE + "secrets = [{evn = 'A'}]",
            3,
            "sources.hub.secrets.evn: unknown key 'evn' (did you mean env?)",
        ),
        (
            SOURCE + "secrets = [{env = 'GOOD'},\n{env = 'UNSET'}]",
            4,
            "sources.hub.secrets.env: the environment variable UNSET is not set",
        ),
        (
            SOURCE + "secrets = [{env = 'EMPTY'}]",
            3,
            "sources.hub.secrets.env: the environment variable EMPTY is empty",
        ),
        (SOURCE + "secrets = [{env = 3}]", 3, "sources.hub.secrets.env: must be the name of an environment variable"),
        (SOURCE + "secrets = [{file = '/'}]", 3, "sources.hub.secrets.file: / cannot be read: Is a directory"),
        (
            SOURCE + "secrets = [{env = 'GOOD'}]\ntoken = {env = 'LINES'}",
            4,
            "sources.hub.token: must be one word of ASCII characters, since it is sent in a header",
        ),
        (SOURCE + "secrets = [{env = 'GOOD'}]\nname = 'x'", 4, "unknown key 'name' in [sources.hub]"),
        (SOURCE + "secrets = [{env = 'GOOD'}]\nbot = '@me'", 4, "sources.hub.bot: write it without the @: me"),
        (
            SOURCE + "secrets = [{env = 'GOOD'}]\napi = 'hub'",
            4,
            "sources.hub.api: must be a URL that starts with https://",
        ),
        (
            "[sources.hub]\nkind = 'gihub'\nsecrets = [{env = 'GOOD'}]",
            2,
            "sources.hub.kind must be gitea, github, gitlab, mosaic or standard, not 'gihub' (did you mean github?)",
        ),
        (
            "[sources.hub]\nkind = 3\nsecrets = [{env = 'GOOD'}]",
            2,
            "sources.hub.kind must be text, not a whole number",
        ),
        (
            "[sources.Hub]\nkind = 'github'\nsecrets = [{env = 'GOOD'}]",
            1,
            "sources.Hub: a name consists of a-z, 0-9, _ and -, and starts with a letter or a digit",
        ),
        ('[repositories."a/b"]\nbase = "x"', 1, 'clone is missing from [repositories."a/b"]'),
        (
            '[repositories."a/b"]\nclone = "/{repo}"',
            2,
            'repositories."a/b".clone: unknown placeholder {repo}: there are {owner} and {name}',
        ),
        (
            "[repositories.a]\nclone = '/a'\nprepare = ['uv', 'sync']",
            3,
            "an item of repositories.a.prepare must be a list, not text",
        ),
        (
            "[repositories.a]\nclone = '/a'\nprepare = [[]]",
            3,
            'repositories.a.prepare: must name a program, like ["uv", "sync"]',
        ),
        ("[repositories.a]\nclone = '/a'\nbase = '-f'", 3, "repositories.a.base: '-f' is not a branch name"),
        ("[executors.a]\nkind = 'command'", 1, "executors.a: kind command needs argv"),
        (
            "[executors.a]\nkind = 'command'\nargv = []",
            3,
            'executors.a.argv: must name a program, like ["uv", "sync"]',
        ),
        ("[executors.a]\nkind = 'openclaw'", 1, "executors.a: kind openclaw needs url"),
        (
            "[executors.a]\nkind = 'openclaw'\nurl = 'ws://x'\nargv = ['x']",
            4,
            "executors.a.argv: kind openclaw has no argv",
        ),
        (
            "[executors.a]\nkind = 'openclaw'\nurl = 'http://x'",
            3,
            "executors.a.url: must be a URL that starts with wss:// or ws://",
        ),
        ("[[tokens]]\nnam = 'a'\nname = 'a'\n" + TOKEN, 2, "unknown key 'nam' in [[tokens]] (did you mean name?)"),
        (f"[[tokens]]\nname = 'a'\n{TOKEN}[[tokens]]\n{TOKEN}", 5, "name is missing from [[tokens]]"),
        (
            f"[[tokens]]\nname = 'a'\n{TOKEN}[[tokens]]\nname = 'b'\n{TOKEN}",
            7,
            "tokens.sha256: another token has the same sha256",
        ),
        (
            f"[[tokens]]\nname = 'a'\n{TOKEN}[[tokens]]\nname = 'a'\n{TOKEN.replace('a' * 64, 'b' * 64)}",
            6,
            "tokens.name: another token has the same name",
        ),
        (
            "[[tokens]]\nname = 'a'\nsha256 = 'hush'\npermissions = []",
            3,
            "tokens.sha256: must be 64 hexadecimal digits: the SHA-256 of the token, not the token",
        ),
    ],
)
def test_a_fault_has_its_line_and_sentence(tmp_path: Path, text: str, line: int, message: str) -> None:
    error = refused(tmp_path, text)
    assert str(error) == f"stitcherd.toml:{line}: {message}"
    assert (error.line, error.message, error.others) == (line, message, ())


def test_a_secret_file_that_is_missing_or_empty_is_refused(tmp_path: Path) -> None:
    missing = refused(tmp_path, SOURCE + 'secrets = [{file = "none"}]')
    assert missing.message == (f"sources.hub.secrets.file: {tmp_path}/none cannot be read: No such file or directory")
    assert refused(tmp_path, SOURCE + 'secrets = [{file = "blank"}]').message.endswith("/blank is empty")


@pytest.mark.parametrize(
    "listen", ["8466", ":8466", "127.0.0.1", "::1:80", "[127.0.0.1]:80", "localhost:65536", "host:80", "", "[]:1"]
)
def test_an_address_needs_a_host_of_this_machine_and_a_port(tmp_path: Path, listen: str) -> None:
    message = refused(tmp_path, f'[http]\nlisten = "{listen}"').message
    assert message == 'http.listen: must be an address and a port, like "127.0.0.1:8466" or "[::1]:8466"'


@pytest.mark.parametrize(
    "clone", ["", "repos/{name}", "-u", "-c:x", "ext::sh -c x", "a b:c", "ftp://x/y", "file://host/x", "/a\\u0000b"]
)
def test_a_clone_is_a_path_or_a_url_and_never_an_option(tmp_path: Path, clone: str) -> None:
    assert refused(tmp_path, f'[repositories.a]\nclone = "{clone}"').line == 2


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("[daemon]\nworkers = 1\nworkers = 2", 3, "daemon.workers is already defined on line 2"),
        ("[daemon]\n\n[http]\n[daemon]\n", 4, "daemon is already defined on line 1"),
        ("x = {a = 1, a = 2}", 1, "x.a is already defined on line 1"),
        ("daemon.workers = 1\n[daemon]\ngrace = '1s'", 2, "is not TOML: "),
        ("[daemon]\n\n=", 3, "is not TOML: invalid statement"),
        ("\nx = [\n1,\n\n", 2, "is not TOML: invalid value"),
        ('\n\nx = """\n\n', 3, "is not TOML: unterminated string"),
        ("a = " + "[" * 50_000, 1, "the values are nested too deeply"),
        (b"a = 1\nb = '\xff'", 2, "is not UTF-8"),
    ],
)
def test_a_file_that_is_not_toml_is_refused_at_its_line(
    tmp_path: Path, text: str | bytes, line: int, part: str
) -> None:
    error = refused(tmp_path, text)
    assert error.line == line
    assert error.message.startswith(part)


def test_the_first_fault_is_reported_and_the_others_are_kept(tmp_path: Path) -> None:
    error = refused(tmp_path, "[daemon]\nworkers = 65\ngrce = '1s'\n[htp]\n[http]\nlisten = 3")
    assert error.line == 2
    assert [other.line for other in error.others] == [3, 4, 6]


def test_a_literal_secret_is_never_repeated(tmp_path: Path) -> None:
    error = refused(tmp_path, SOURCE + "secrets = ['hush-hush']\ntoken = 'hush-hush'")
    assert "hush" not in "".join(map(str, (error, *error.others)))


def test_an_unreadable_file_is_not_a_missing_one(tmp_path: Path) -> None:
    (tmp_path / "stitcherd.toml").mkdir()
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        load_settings(tmp_path, SUPPORTED_KINDS)


@given(st.text() | st.text(alphabet="[]{}=.\"'\n#,a1 \\"))
def test_any_text_is_parsed_or_refused_at_one_of_its_lines(text: str) -> None:
    try:
        parse_toml(text.encode())
    except TomlError as error:
        assert 1 <= error.line <= text.count("\n") + 1  # noqa: PT017 (most texts raise, some need not)


KEYS = """
daemon daemon.state_dir daemon.socket daemon.workers daemon.grace daemon.log_max retention.events http.listen http.hosts
http.max_body sources sources.a sources.a.kind sources.a.secrets sources.a.bot sources.a.api sources.a.token
repositories repositories.a repositories.a.clone repositories.a.base repositories.a.prepare executors.a executors.a.kind
executors.a.argv executors.a.url tokens tokens.name other other.key
"""
VALUES = r"""3 -1 1.5 nan true '' 'x' "ü\u0000" 1979-05-27 [] [3] ['x'] [[]] [['x']] {} {a=1} {env=3} [{}] {a={a=1}}"""


@pytest.mark.parametrize("key", KEYS.split())
def test_any_value_of_any_key_is_described(tmp_path: Path, key: str) -> None:
    for value in VALUES.split():
        (tmp_path / "stitcherd.toml").write_text(f"\n{key} = {value}")
        try:
            load_settings(tmp_path, SUPPORTED_KINDS)
        except SettingsError as error:
            assert {error.line, *(other.line for other in error.others)} == {2}  # noqa: PT017 (some are fine)
