"""docs/options.md says what the code does."""

from tools.options_page import PAGE, page


def test_the_page_is_what_the_code_says_now() -> None:
    assert PAGE.read_text() == page(), "run `python -m tools.options_page`"
