"""One table, every output."""

import io

import pytest
from rich.console import Console

from harness.report import render as module
from harness.report.render import as_frame, as_markdown, as_rich, render, write_csv
from harness.report.table import Cell, Table, numbers, texts

TABLE = Table(
    [*texts("", sortable=True), *numbers("a|b", sortable=True), *texts("note", long=True)],
    [["x*", Cell("1.5 s", 1.5), "plain"], ["<y>", Cell("–"), Cell("died", log="<b>boom</b>")]],
    failed=frozenset({1}),
)


def test_markdown_shows_exactly_the_texts_and_aligns_numbers():
    assert as_markdown(TABLE).splitlines() == [
        "| | a\\|b | note |",
        "| --- | ---: | --- |",
        "| x\\* | 1.5 s | plain |",
        "| &lt;y&gt; | – | died |",
    ]


@pytest.fixture
def html(tmp_path, monkeypatch):
    """html(table) -> the table as the page has it."""
    monkeypatch.setattr(module, "TEMPLATES", [module.TEMPLATES, tmp_path])

    def show(table):
        template = '{% from "parts.html.j2" import table %}{{ table(shown) }}'
        (tmp_path / "one.html.j2").write_text(template)
        return render("one.html.j2", {"shown": table}).splitlines()

    return show


def test_page_escapes_sorts_by_the_value_and_marks_failures(html):
    lines = html(TABLE)
    assert lines[:2] == ['<div class="scroll tall" tabindex="0">', '<table class="sortable">']
    assert (
        '<tr><td>x*</td><td class="number" data-value="1.5">1.5 s</td><td class="wrap">plain</td>'
        "</tr>"
    ) in lines
    assert (
        '<tr class="failed"><td>&lt;y&gt;</td><td class="number" data-value="">–</td>'
        '<td class="wrap">died<details><summary>log tail</summary>'
        "<pre>&lt;b&gt;boom&lt;/b&gt;</pre></details></td></tr>"
    ) in lines


def test_rows_are_named_and_a_table_of_names_alone_has_no_headings(html):
    lines = html(Table([*texts("host"), *texts("", long=True)], [["cpu", "c"]], named=True))
    assert '<tr><th scope="row">cpu</th><td class="wrap">c</td></tr>' in lines
    assert not any("<thead>" in line for line in lines)


def test_a_row_of_one_cell_is_a_bold_heading_in_a_terminal_and_names_are_no_markup():
    table = Table([*texts("run"), *numbers("base")], [["[red]myad"], ["  time", "1.5 s"]])
    out = io.StringIO()
    Console(file=out, width=40, force_terminal=True).print(as_rich(table))
    assert "\x1b[1m[red]myad\x1b[0m" in out.getvalue()
    assert "  time     1.5 s" in out.getvalue()


def test_raw_values_become_a_frame_and_a_csv_without_formulas(tmp_path):
    table = Table(texts("engine", "n", "mean"), [["=cmd()", 2, 0.1], ["b", 0, None]])
    frame = as_frame(table)
    assert list(frame.columns) == ["engine", "n", "mean"]
    assert frame["mean"].dtype == float
    write_csv(table, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text() == "engine,n,mean\n'=cmd(),2,0.1\nb,0,\n"
