"""What may stand everywhere may stand everywhere."""

import pytest

from tui.__main__ import main


@pytest.mark.parametrize(
    "argv",
    [
        ("--json", "token", "new", "ci"),
        ("token", "--json", "new", "ci"),
        ("token", "new", "ci", "--json"),
    ],
)
def test_json_before_and_behind_verb_and_action(argv: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 0
    assert capsys.readouterr().out.startswith('{"token":"stk_')


@pytest.mark.parametrize(
    "argv",
    [
        ("--socket", "/nowhere/s", "deliveries", "ls"),
        ("deliveries", "--socket", "/nowhere/s"),
        ("deliveries", "ls", "--socket", "/nowhere/s"),
    ],
)
def test_the_socket_before_and_behind(argv: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 3
    assert "/nowhere/s" in capsys.readouterr().err
