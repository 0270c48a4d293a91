"""Prompts: no quoted text can fake the end of its quotation."""

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.models import Start, Thread
from stitcherd.jobs import prompt
from stitcherd.sources.trigger import Quote

TASK = "Mend the roof."


@settings(deadline=None)
@given(st.lists(st.builds(Quote, st.none() | st.just("forge:eve"), st.just("comment"), st.text()), max_size=4))
def test_every_line_of_others_is_quoted(quotes: list[Quote]) -> None:
    task, *rest = prompt.compose_prompt(TASK, quotes).splitlines()
    assert task == TASK
    assert all(not line or line.startswith("> ") for line in rest)


@settings(deadline=None)
@given(st.text())
def test_every_line_of_a_gates_output_is_quoted(printed: str) -> None:
    text = prompt.further_prompt(TASK, prompt.gates_feedback(2, [("tests", printed)]))
    before, after = text.split("Gate tests printed:\n\n")
    assert before.startswith(prompt.first_prompt(TASK))
    assert all(line.startswith(">") for line in after.splitlines())


def test_quotes_are_attributed_and_cut() -> None:
    text = prompt.compose_prompt(TASK, [Quote("forge:ann", "title", "It leaks"), Quote(None, "body", "x" * 20_000)])
    assert "> title by forge:ann:\n> \n> It leaks" in text
    assert "> body by a deleted account:" in text
    assert "x" * prompt.MAX_QUOTE_LENGTH + "\n> [cut]" in text
    assert "x" * (prompt.MAX_QUOTE_LENGTH + 1) not in text
    assert prompt.compose_prompt(TASK, [Quote("forge:ann", "body", " \n")]) == TASK


def test_only_the_end_of_a_gates_output_is_shown() -> None:
    failures = [("lint", "start" + "y" * prompt.MAX_FEEDBACK_LENGTH), ("tests", "")]
    text = prompt.further_prompt(TASK, prompt.gates_feedback(3, failures))
    assert "This is try 3." in text
    assert "start" not in text
    assert text.index("Gate lint") < text.index("Gate tests")
    assert prompt.PROMPT_RULES in text


def test_a_further_try_is_told_why_nothing_was_committed() -> None:
    text = prompt.further_prompt(TASK, prompt.uncommitted_feedback(2, "The tree holds\ngit repositories"))
    assert text.startswith(prompt.first_prompt(TASK))
    assert "This is try 2." in text
    assert "could not be committed:\n\n> The tree holds\n> git repositories\n" in text


def test_the_prompt_of_a_job_on_a_change_says_whether_the_checkout_has_its_commits() -> None:
    start, change = Start("refs/pull/7/head", "1a2b", "9c1e"), Thread("change", 7)
    assert prompt.with_start(TASK, change, start, from_head=True) == (
        f"{TASK}\n\nThis checkout is at 1a2b, the head of change #7."
    )
    assert prompt.with_start(TASK, change, Start("main", "9c1e", "9c1e"), from_head=False) == (
        f"{TASK}\n\nThe commits of change #7 are not in this checkout, which is at 9c1e."
    )
    for thread, found in ((Thread("issue", 7), start), (None, start), (change, None)):
        assert prompt.with_start(TASK, thread, found, from_head=True) == TASK
