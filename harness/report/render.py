"""Tables and templates -> text: a renderer for each output.

Terminal (rich), Markdown, frames for CSV and Parquet here; the page's in `templates/parts.html.j2`.
"""

import re
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import rich.table
from pandas.api.types import is_numeric_dtype
from rich.markup import escape

from harness.report.table import Table
from harness.safe.text import one_line, visible

TEMPLATES = Path(__file__).parent / "templates"
FORMULA = ("=", "+", "-", "@", "\t", "\n", "\r")


def render(template: str, values: dict[str, Any]) -> str:
    """Fill a template; HTML is escaped, in Markdown the filter `md` does it.

    In both, what a terminal would obey or nobody would see is written as an escape.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=jinja2.select_autoescape(["html.j2"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
    )
    environment.filters |= {"md": markdown, "table": as_markdown}
    return environment.get_template(template).render(values)


def markdown(text: object) -> str:
    """Text as Markdown that shows exactly that text, in a table cell too."""
    flat = one_line(" ".join(str(text).split()))
    escaped = re.sub(r"([\\`*_{}\[\]#|~$])", r"\\\1", flat)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def as_markdown(table: Table) -> str:
    """A table of a Markdown file, without the last line's end."""
    heads = [f" {markdown(column.head)}" if column.head else "" for column in table.columns]
    rule = [" ---:" if column.number else " ---" for column in table.columns]
    rows = [[f" {markdown(cell.text)}" for cell in row] for row in table.cells()]
    return "\n".join(f"|{' |'.join(line)} |" for line in [heads, rule, *rows])


def escaped(text: object) -> str:
    """Text as rich shows it: no markup, and nothing that the terminal would obey."""
    return escape(visible(text))


def as_rich(table: Table) -> rich.table.Table:
    """A table of the terminal; headings inside it are bold."""
    shown = rich.table.Table(box=None, pad_edge=False)
    for column in table.columns:
        shown.add_column(
            escaped(column.head),
            justify="right" if column.number else "left",
            overflow="ellipsis" if column.whole else "fold",
            no_wrap=column.whole,
            min_width=column.least,
        )
    for row in table.cells():
        first, *rest = (escaped(cell.text) for cell in row)
        shown.add_row(first if rest else f"[bold]{first}[/bold]", *rest)
    return shown


def as_frame(table: Table) -> pd.DataFrame:
    """A table of raw values as a frame."""
    return pd.DataFrame(list(table.rows), columns=[column.head for column in table.columns])


def write_csv(table: Table, path: Path) -> None:
    """Write raw values as CSV, with texts that a spreadsheet would run as a formula defused."""
    frame = as_frame(table)
    for column in frame.columns[[not is_numeric_dtype(kind) for kind in frame.dtypes]]:
        frame[column] = frame[column].map(defused)
    frame.to_csv(path, index=False, lineterminator="\n")


def defused(cell: object) -> object:
    """A text that begins like a formula gets an apostrophe in front, as spreadsheets expect."""
    if not isinstance(cell, str):
        return cell
    return f"'{visible(cell)}" if cell.startswith(FORMULA) else visible(cell)
