"""The pages of docs/ tell the truth: snippets run, and print what the pages say they print."""

import contextlib
import io
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ["compiler.md"]


@pytest.mark.parametrize("page", PAGES)
def test_snippets_run_and_print_what_the_page_shows(page):
    text = (DOCS / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```(python|text)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    output = io.StringIO()
    names: dict = {"__name__": "page"}
    with contextlib.redirect_stdout(output):
        for kind, block in blocks:
            if kind == "python":
                exec(compile(block, page, "exec"), names)
    printed = set(output.getvalue().splitlines())
    shown = [line for kind, block in blocks if kind == "text" for line in block.splitlines()]
    assert shown
    for line in shown:
        assert line in printed, f"{page} shows a line that is not printed: {line}"
