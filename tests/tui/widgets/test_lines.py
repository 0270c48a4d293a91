"""Scrolling views: the position of the scrollbar."""

from textual.app import App, ComposeResult

from tui.widgets.text_view import TextView


class Page(App[None]):
    def compose(self) -> ComposeResult:
        yield TextView()


async def test_a_jump_also_moves_a_scrollbar_that_is_not_shown_yet() -> None:
    app = Page()
    async with app.run_test(size=(40, 10)) as pilot:
        page = app.query_one(TextView)
        before = page.show_vertical_scrollbar
        page.show([[(f"line {number}", "")] for number in range(100)])
        page.jump(50)
        await pilot.pause()
        assert (before, page.show_vertical_scrollbar) == (False, True)
        assert page.scroll_y == page.vertical_scrollbar.position == 50
