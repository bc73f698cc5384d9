"""What a terminal would obey, or nobody would see, is written as an escape."""

import pytest

from harness.safe.text import one_line, say, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, é, 日本, 🙂", "plain, é, 日本, 🙂"),
        ("\x1b[2J\x07", r"\x1b[2J\x07"),
        ("a\0b\rc", r"a\0b\rc"),
        ("\x9b31m\x7f", r"\x9b31m\x7f"),
        ("\u202egnp\u2066\u200b", r"\u202egnp\u2066\u200b"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
        ("line\r\nline\ttab\n", "line\nline\ttab\n"),
    ],
)
def test_visible(text, shown):
    assert visible(text) == shown
    assert visible(visible(text)) == shown
    visible(text).encode()


def test_one_line_has_no_line_ends():
    assert one_line("a\nb\tc\u2028d") == r"a\nb\tc\u2028d"


def test_what_is_said_is_one_line_on_standard_error(capsys):
    say("two\nlines \x1b[2J")
    assert capsys.readouterr() == ("", "bench: two\\nlines \\x1b[2J\n")
