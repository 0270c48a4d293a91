"""Tests which added text is found to be a secret."""

import pytest

from stitcherd.gates.secrets import find_secrets
from tests.stitcherd.gates.changes import change

LONG = "aZ3kq9Xw" * 8
TOKENS = [
    f"ghp_{LONG[:36]}",
    f"github_pat_{LONG[:22]}_{LONG[:59]}",
    f"glpat-{LONG[:20]}",
    "AKIAQ3EGWZ5N7UJ2KXRT",
    "-----BEGIN RSA PRIVATE KEY-----",
    "-----BEGIN PGP PRIVATE KEY BLOCK-----",
    f"sk-ant-api03-{LONG}",
    f"sk-proj-{LONG}",
    f"sk-{LONG[:48]}",
    f"xoxb-123456789012-123456789012-{LONG[:24]}",
    f"sk_live_{LONG[:24]}",
    f"AIza{LONG[:35]}",
    f"npm_{LONG[:36]}",
    f"pypi-AgEIcHlwaS5vcmc{LONG}",
]


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("line", ["{}", "key = '{}'", "https://x:{}@forge", "A={};"])
def test_a_secret_is_found_and_not_repeated(token: str, line: str) -> None:
    [finding] = find_secrets(change("a.env", "1\n2\n", f"1\n2\n{line.format(token)}\n"), bytes)
    assert str(finding).startswith("a.env:3: secret: ")
    assert token[4:] not in str(finding)


@pytest.mark.parametrize(
    "line",
    [
        "ghp_" + "x" * 36,
        "ghp_tooshort",
        "AKIAIOSFODNN7EXAMPLE",
        "-----BEGIN PUBLIC KEY-----",
        "-----BEGIN CERTIFICATE-----",
        "task-" + LONG,
        "sk-" + "0" * 48,
        "xoxb-your-token-here",
        "npm_config_registry",
        "d41d8cd98f00b204e9800998ecf8427e" * 2,
        f"sha512-{LONG}{LONG}==",
    ],
)
def test_similar_text_is_no_secret(line: str) -> None:
    assert list(find_secrets(change("a.env", None, line + "\n"), bytes)) == []


def test_a_removed_secret_is_not_found() -> None:
    assert list(find_secrets(change("a.env", TOKENS[0] + "\n", "x\n"), bytes)) == []


def test_a_configured_secret_is_found_by_its_value() -> None:
    made = change("a.env", None, "one\ntwo hunter22 three\n")
    [finding] = find_secrets(made, lambda data: data.replace(b"hunter22", b"[secret]"))
    assert str(finding) == "a.env:2: secret: a secret of stitcherd.toml, or a value passed by `env`, is written here"
