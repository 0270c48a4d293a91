"""[[notify]]: what it takes, what it is called, and each of its faults."""

from pathlib import Path

import pytest

from stitcherd.config.load import SettingsError, load_settings
from stitcherd.config.notify import NOTIFIED_EVENTS
from stitcherd.config.settings import Settings
from stitcherd.configuration import SUPPORTED_KINDS
from tests.webhook_receiver import SECRET

HEAD = '[[notify]]\non = ["job.failed"]\n'
HOOK = 'url = "https://hooks.example.com/a/b?key=c"\nsecret = {env = "HOOK"}\n'


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", SECRET)
    monkeypatch.setenv("BAD", "whsec_!")


def read(directory: Path, text: str) -> Settings:
    (directory / "stitcherd.toml").write_text(text)
    return load_settings(directory, SUPPORTED_KINDS)


def test_targets_are_called_by_their_program_or_host(tmp_path: Path) -> None:
    run = 'run = ["/bin/true", "{summary}", "{\\"x\\": 1}"]\n'
    settings = read(tmp_path, f'{HEAD}{run}{HEAD}{run}{HEAD}{HOOK}workspace = "octo"\n')
    assert list(settings.notify_targets) == ["notify:true", "notify:true-2", "notify:hooks.example.com"]
    assert [target.workspace for target in settings.notify] == [None, None, "octo"]
    assert settings.secret_names == frozenset({"HOOK"})
    assert settings.secret_values == (SECRET.encode(),)
    assert SECRET not in repr(settings)
    assert settings.warnings == ()


def test_no_two_targets_have_one_name(tmp_path: Path) -> None:
    odd = [f'{HEAD}run = ["{name}"]\n' for name in ("a-2", "a", "a")]
    assert list(read(tmp_path, "".join(odd)).notify_targets) == ["notify:a-2", "notify:a", "notify:a-3"]


def test_a_program_that_is_not_there_is_a_warning(tmp_path: Path) -> None:
    settings = read(tmp_path, f'{HEAD}run = ["no-such-program"]')
    assert settings.warnings == ("stitcherd.toml:3: there is no program no-such-program",)


def test_every_event_can_be_named(tmp_path: Path) -> None:
    events = ", ".join(f'"{each}"' for each in NOTIFIED_EVENTS)
    assert read(tmp_path, f'[[notify]]\non = [{events}]\nrun = ["true"]').notify[0].on == NOTIFIED_EVENTS


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('[[notify]]\nrun = ["true"]\non = ["job.fail"]', 3, "unknown event 'job.fail' (did you mean job.failed?)"),
        (
            '[[notify]]\non = ["source.*"]\nrun = ["true"]',
            2,
            "notify.on: takes no patterns: write each event by its name, source.held …",
        ),
        ('[[notify]]\non = ["*x"]\nrun = ["true"]', 2, "notify.on: takes no patterns: write each event by its name"),
        (
            '[[notify]]\non = ["step.output"]\nrun = ["true"]',
            2,
            "notify.on: of step.output there may be many a second: nobody can be told of each",
        ),
        ('[[notify]]\non = []\nrun = ["true"]', 2, "notify.on: must not be empty"),
        ('[[notify]]\nrun = ["true"]', 1, "on is missing from [[notify]]"),
        (f'{HEAD}run = ["true", "{{sumary}}"]', 3, "notify.run: unknown placeholder 'sumary' (did you mean summary?)"),
        (f'{HEAD}run = ["{{job}}"]', 3, "notify.run: must be the name of a program on PATH, or an absolute path"),
        (f'{HEAD}run = ["./tell"]', 3, "notify.run: must be the name of a program on PATH, or an absolute path"),
        (f'{HEAD}run = ["true"]\n{HOOK}', 4, "notify.url: run and url exclude each other: write one of them"),
        (HEAD, 1, "notify: needs run or url"),
        (f'{HEAD}url = "https://a.example"', 1, "secret is missing from [[notify]]"),
        (
            f'{HEAD}run = ["true"]\nsecret = {{env = "HOOK"}}',
            4,
            "notify.secret: run has no secret: what is sent to a url is signed with it",
        ),
        (
            f'{HEAD}url = "http://a.example"\nsecret = {{env = "HOOK"}}',
            3,
            "notify.url: must start with https://: what is told would be readable on the way",
        ),
        (
            f'{HEAD}url = "https://a.example/#b"\nsecret = {{env = "HOOK"}}',
            3,
            "notify.url: must be a URL without user and fragment",
        ),
        (
            f'{HEAD}url = "https://a.example"\nsecret = {{env = "BAD"}}',
            4,
            "notify.secret: whsec_ must be followed by the key in base64",
        ),
        (f'{HEAD}runn = ["true"]', 3, "unknown key 'runn' in [[notify]] (did you mean run?)"),
    ],
)
def test_a_fault_is_told_with_its_line(tmp_path: Path, text: str, line: int, message: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read(tmp_path, text)
    assert (refused.value.line, refused.value.message) == (line, message)
