"""Which values of the environment are secret."""

from pathlib import Path

import pytest

from stitcherd.jobs.env_secrets import passed_secrets


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AGENT_KEY", "k-1234567890"),
        ("AGENT_KEY", "12345678"),
        ("PASSPHRASE", "correct horse battery staple"),
        ("WHATEVER", "correct-horse-battery-staple"),
        ("WHATEVER", "/9j4AAQSkZJRgABAQAAAQ=="),
        ("WHATEVER", "eyJhbGciOi.eyJzdWIiOi.SflKxwRJSM"),
        ("DB_PASSWORD", "p4ssw0rd@example.com"),
        ("AUTH", "registry.example.com"),
        ("HOOK", "https://hooks.example.com/services/T0000/B0000/XyzXyzXyzXyzXyzXyz"),
        ("FEED", "https://example.com/feed?key=abc"),
        ("WHATEVER", "-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----"),
    ],
)
def test_what_is_not_known_to_be_ordinary_is_secret(name: str, value: str) -> None:
    assert passed_secrets({name: value}, [name]) == {value.encode()}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AGENT_KEY", "short12"),
        ("PATH", "/usr/local/bin:/usr/bin"),
        ("PYTHONPATH", "/usr/lib/x:~/lib:./src"),
        ("LANG", "de_DE.UTF-8"),
        ("MY_LOCALE", "en_US.UTF-8"),
        ("ZONE", "America/New_York"),
        ("NODE_ENV", "production"),
        ("KEY_MODE", "always-enabled"),
        ("SSH_AUTH_SOCK", "/tmp/ssh-XXXX/agent.1"),
        ("HTTPS_PROXY", "http://proxy.example.com:3128"),
        ("AGENT_BASE_URL", "https://api.example.com/v1/messages"),
        ("REGISTRY", "registry.example.com:5000"),
        ("LISTEN", "127.0.0.1:8466"),
        ("GIT_AUTHOR_NAME", "Octo the Cat"),
        ("CONTACT", "octocat@example.com"),
        ("AGENT_MODEL", "some-model-20250929"),
        ("TERM", "xterm-256color"),
        ("UNSET", ""),
    ],
)
def test_ordinary_values_are_not_secret(name: str, value: str) -> None:
    assert passed_secrets({name: value}, [name]) == frozenset()


def test_only_the_given_names_count_and_spaces_around_a_value_do_not() -> None:
    assert passed_secrets({"ONE": " s3cret-one \n", "TWO": "s3cret-two"}, ["ONE", "THREE"]) == {b"s3cret-one"}


def test_the_password_of_an_address_is_secret_by_itself() -> None:
    value = "postgres://app:p%40ssw0rd-1@db.example.com/app"
    assert passed_secrets({"DSN": value}, ["DSN"]) == {value.encode(), b"p%40ssw0rd-1", b"p@ssw0rd-1"}


def test_a_path_that_the_root_does_not_have_may_be_a_secret(tmp_path: Path) -> None:
    assert passed_secrets({"A": str(tmp_path / "missing"), "B": "/no-such-root/x"}, "AB") == {b"/no-such-root/x"}
