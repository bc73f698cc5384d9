"""A table as data: columns, and rows of cells; `render` makes every output of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Column:
    """A heading and how the cells below it are set.

    number: to the right. long: takes several lines on a page. sortable: a click on its heading
    sorts the page's table by it. whole: a terminal never folds it. least: columns of a terminal
    that it takes at least.
    """

    head: str
    number: bool = False
    long: bool = False
    sortable: bool = False
    whole: bool = False
    least: int | None = None


def texts(*heads: str, **how: Any) -> list[Column]:
    """Columns of text; `how` as in Column."""
    return [Column(head, **how) for head in heads]


def numbers(*heads: str, **how: Any) -> list[Column]:
    """Columns of numbers."""
    return [Column(head, number=True, **how) for head in heads]


@dataclass(frozen=True)
class Cell:
    """A text with the number behind it, to sort by, or with a log that can be unfolded."""

    text: str
    value: float | None = None
    log: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of texts, `Cell`s or, in a table for programs, raw values, one per column.

    A row of one cell is a heading of those below it. named: the first cell names its row.
    failed: places of the rows that are marked.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    named: bool = False
    failed: frozenset[int] = frozenset()

    @property
    def sortable(self) -> bool:
        """Whether a click on a heading sorts it."""
        return any(column.sortable for column in self.columns)

    @property
    def headed(self) -> bool:
        """Whether there is a heading beyond that of the rows' names."""
        return any(column.head for column in self.columns[1:])

    def cells(self) -> Iterator[list[Cell]]:
        """The rows with every cell as a `Cell`."""
        for row in self.rows:
            yield [cell if isinstance(cell, Cell) else Cell(str(cell)) for cell in row]
