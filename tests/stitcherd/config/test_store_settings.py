"""[store]: which database, its connection string, and what of that is a secret."""

import os
from pathlib import Path

import pytest

from stitcherd.config.load import SettingsError, load_settings
from stitcherd.config.settings import Settings
from stitcherd.configuration import SUPPORTED_KINDS

URL = "postgresql://stitcher:s3cret%2Fword@db.example.org/stitcher"


def read(directory: Path, text: str) -> Settings:
    (directory / "stitcherd.toml").write_text(text)
    return load_settings(directory, SUPPORTED_KINDS)


def test_a_file_is_the_default(tmp_path: Path) -> None:
    assert (read(tmp_path, "").store.kind, read(tmp_path, "").store.dsn) == ("sqlite", None)


@pytest.mark.parametrize(
    ("dsn", "password"),
    [
        (URL, "s3cret/word"),
        ("host=db user=stitcher password=s3cret-word dbname=stitcher", "s3cret-word"),
        (r"password = 'a \'quoted\' one' host=db", "a 'quoted' one"),
        ("postgresql://db/stitcher?user=stitcher&password=s3%20c+ret", "s3 c+ret"),
        ("postgresql://db/stitcher?sslmode=verify-full&sslpassword=s3cret-key", "s3cret-key"),
        ("host=db sslkey=/k sslpassword=s3cret-key", "s3cret-key"),
        ("host=/run/postgresql dbname=stitcher", None),
        ("postgresql:///stitcher", None),
    ],
)
def test_the_connection_string_and_its_password_are_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dsn: str, password: str | None
) -> None:
    monkeypatch.setenv("STITCHER_DSN", dsn)
    settings = read(tmp_path, '[store]\nkind = "postgres"\ndsn = {env = "STITCHER_DSN"}\n')
    assert settings.store.dsn == dsn
    assert settings.secret_names == {"STITCHER_DSN"}
    assert set(settings.secret_values) == {each.encode() for each in (dsn, password) if each}
    assert dsn not in repr(settings)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('kind = "postgres"', 1, "dsn is missing from [store]"),
        ('kind = "mysql"', 2, "store.kind must be sqlite or postgres"),
        ('lease = "20s"', 2, "store.lease: kind sqlite has no lease"),
        ('kind = "postgres"\ndsn = {env = "GOOD"}\nlease = "900ms"', 4, "store.lease: must be 1s at least"),
        ('dsn = {env = "DSN"}', 2, "store.dsn: kind sqlite has no dsn"),
        ('kind = "postgres"\ndsn = {env = "WORD"}', 3, "store.dsn: must be a connection string of PostgreSQL"),
        ('kind = "postgres"\ndsn = {env = "BRACKET"}', 3, "store.dsn: must be a connection string of PostgreSQL"),
        ('kind = "postgres"\ndsn = "postgresql:///a"', 3, "store.dsn: must be {env"),
    ],
)
def test_faults_are_told_with_their_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, line: int, message: str
) -> None:
    monkeypatch.setenv("DSN", URL)
    monkeypatch.setenv("GOOD", URL)
    monkeypatch.setenv("WORD", "hunter22")
    monkeypatch.setenv("BRACKET", "postgresql://a:hunter22@[::1/stitcher?x=y")
    with pytest.raises(SettingsError) as refused:
        read(tmp_path, f"[store]\n{text}\n")
    assert refused.value.line == line
    assert refused.value.message.startswith(message)
    assert "hunter22" not in str(refused.value)


WORKER = """\
[daemon]
workers = {workers}
[store]
kind = "postgres"
dsn = {{env = "DSN"}}
[sources.hub]
kind = "github"
secrets = [{{env = "NOT_SET"}}]
[[tokens]]
wrong = "as it is not read"
[[notify]]
wrong = "too"
"""


def test_a_worker_needs_no_secrets_of_what_only_a_daemon_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSN", URL)
    monkeypatch.delenv("NOT_SET", raising=False)
    (tmp_path / "stitcherd.toml").write_text(WORKER.format(workers=2))
    settings = load_settings(tmp_path, SUPPORTED_KINDS, is_worker=True)
    assert (settings.sources["hub"].secrets, settings.tokens, settings.notify) == ((), (), ())
    assert settings.store.lease == 15.0
    assert settings.daemon.name == os.uname().nodename
    with pytest.raises(SettingsError, match="NOT_SET is not set"):
        load_settings(tmp_path, SUPPORTED_KINDS)


def test_a_worker_masks_the_secrets_that_it_could_read_though_it_needs_them_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DSN", URL)
    monkeypatch.setenv("HOOK", "of-a-webhook")
    monkeypatch.delenv("NOT_SET", raising=False)
    (tmp_path / "told").write_text("of-a-notification\n")
    text = WORKER.format(workers=2).replace(
        '[{env = "NOT_SET"}]', '[{env = "NOT_SET"}, {env = "HOOK"}, {file = "gone"}, {file = "~nobody/\\u0000"}, 7, {}]'
    )
    (tmp_path / "stitcherd.toml").write_text(text + '[[notify]]\nsecret = {file = "told"}\n')
    settings = load_settings(tmp_path, SUPPORTED_KINDS, is_worker=True)
    assert {b"of-a-webhook", b"of-a-notification"} < set(settings.secret_values)
    assert settings.secret_names == {"DSN", "HOOK"}
    assert settings.files == (tmp_path / "told",)
    assert "of-a-" not in repr(settings)


def test_only_a_daemon_beside_workers_may_run_no_jobs_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSN", URL)
    (tmp_path / "stitcherd.toml").write_text(WORKER.format(workers=0))
    with pytest.raises(SettingsError, match=r"stitcherd.toml:2: daemon.workers: must be at least 1"):
        load_settings(tmp_path, SUPPORTED_KINDS, is_worker=True)
    settings = read(tmp_path, '[daemon]\nworkers = 0\n[store]\nkind = "postgres"\ndsn = {env = "DSN"}\n')
    assert settings.daemon.workers == 0
