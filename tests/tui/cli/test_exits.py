import pytest

from tui.cli import exits


@pytest.mark.parametrize(("status", "code"), [(422, 2), (403, 4), (404, 5), (409, 1), (429, 1), (500, 1), (503, 1)])
def test_an_answer_has_its_exit_code(status: int, code: int) -> None:
    assert exits.from_status(status) == code


@pytest.mark.parametrize(("codes", "code"), [([0], 0), ([0, 0], 0), ([5, 5], 5), ([5, 1], 1), ([0, 5], 6), ([1, 0], 6)])
def test_several_jobs_make_one_exit_code(codes: list[int], code: int) -> None:
    assert exits.combine(codes) == code
