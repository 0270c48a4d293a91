import pytest

from shared.suggest import did_you_mean, nearest


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("worker", "workers"),
        ("Worker", "workers"),
        ("workers", "workers"),
        ("grcae", "grace"),
        ("xyz", None),
        ("", None),
        ("workers" * 50, None),
    ],
)
def test_the_nearest_word_is_close_or_none(word: str, found: str | None) -> None:
    assert nearest(word, ["grace", "workers", "log_max"]) == found


def test_the_nearest_word_keeps_its_spelling() -> None:
    assert nearest("anthropic_api_keys", ["ANTHROPIC_API_KEY"]) == "ANTHROPIC_API_KEY"
    assert nearest("a", []) is None


def test_a_suggestion_is_a_question_or_nothing() -> None:
    assert did_you_mean("deamon", ["daemon"], "[{}]") == " (did you mean [daemon]?)"
    assert not did_you_mean("xyz", ["daemon"])
