"""Einstein's convention as NumPy reads it, brought into the form of `sum_of_products`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from myad.core import describe
from myad.errors import OptionError, ShapeError
from myad.ops.diagonals import diagonal
from myad.ops.linalg import sum_of_products
from myad.ops.shaping import reshape
from myad.ops.specs import as_operand

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


class _Term(NamedTuple):
    """An array, its letters before and behind `...`, and the lengths of the axes of `...`."""

    x: Any
    before: str
    behind: str
    dots: tuple[int, ...]


def einsum(subscripts: str, *arrays: Any) -> Any:
    """Einstein's sum convention: "ij,jk->ik", `...` for axes that are broadcast, a letter twice in
    an array for its diagonal; without an output, the letters that occur once, in their order.

    Raises: OptionError for subscripts that say nothing of this kind; ShapeError.
    """
    operands = [as_operand(x) for x in arrays]
    terms, output = _parsed(subscripts, operands)
    letters = "".join([t.before + t.behind for t in terms])
    free = [a for a in LETTERS if a not in letters + (output or "")]
    shared = "".join(free[: max(len(t.dots) for t in terms)])
    if output is None:
        once = sorted(a for a in set(letters) if letters.count(a) == 1)
        output = ("..." if "..." in subscripts else "") + "".join(once)
    elif "..." not in output and shared:
        raise OptionError(f"einsum: {subscripts!r}: the output needs the axes of '...'.")
    output = output.replace("...", shared)
    lengths = _lengths(terms, shared)
    spelled = [_without_repeats(*_spelled(t, shared, lengths)) for t in terms]
    if len(set(output)) < len(output) or not set(output) <= set("".join([s for s, _ in spelled])):
        raise OptionError(
            f"einsum: {subscripts!r}: the output needs letters of the arrays, each once."
        )
    left = ",".join([s for s, _ in spelled])
    return sum_of_products(*[x for _, x in spelled], subscripts=f"{left}->{output}")


def _parsed(subscripts: str, operands: Sequence[Any]) -> tuple[list[_Term], str | None]:
    """The arrays with their letters, and the output, if it is written."""
    left, arrow, output = subscripts.replace(" ", "").partition("->")
    words = left.split(",")
    used = (left + output).replace("...", "").replace(",", "")
    if len(words) != len(operands) or not all(a in LETTERS for a in used):
        raise OptionError(
            f"einsum: {subscripts!r} needs letters, one list for each of {len(operands)} arrays."
        )
    terms = []
    for word, x in zip(words, operands, strict=True):
        before, dots, behind = word.partition("...")
        rest = len(x.shape) - len(before) - len(behind)
        if rest < 0 or (rest and not dots):
            raise ShapeError(
                f"einsum {subscripts!r}: one letter per axis needed.{describe(*operands)}"
            )
        terms.append(_Term(x, before, behind, tuple(x.shape[len(before) : len(before) + rest])))
    return terms, output if arrow else None


def _lengths(terms: Sequence[_Term], shared: str) -> dict[str, int]:
    """The lengths of the axes of `...`, broadcast."""
    lengths = dict.fromkeys(shared, 1)
    for term in terms:
        for a, n in zip(shared[len(shared) - len(term.dots) :], term.dots, strict=True):
            lengths[a] = n if lengths[a] == 1 else lengths[a]
            if n not in (1, lengths[a]):
                raise ShapeError(
                    f"einsum: '...' does not broadcast.{describe(*[t.x for t in terms])}"
                )
    return lengths


def _spelled(term: _Term, shared: str, lengths: dict[str, int]) -> tuple[str, Any]:
    """Letters for all axes; an axis of length 1 that meets a longer one has none."""
    names = shared[len(shared) - len(term.dots) :]
    kept = [a for a, n in zip(names, term.dots, strict=True) if n == lengths[a]]
    first = len(term.before)
    shape = term.x.shape
    x = term.x
    if len(kept) < len(names):
        middle = [lengths[a] for a in kept]
        x = reshape(x, shape=(*shape[:first], *middle, *shape[first + len(names) :]))
    return term.before + "".join(kept) + term.behind, x


def _without_repeats(term: str, x: Any) -> tuple[str, Any]:
    """A letter that occurs twice in `term` stands for the diagonal of its axes."""
    while twice := [a for a in term if term.count(a) > 1]:
        letter = twice[0]
        first = term.index(letter)
        second = term.index(letter, first + 1)
        if x.shape[first] != x.shape[second]:
            raise ShapeError(f"einsum: {letter!r} differs in length: {tuple(x.shape)}.")
        x = diagonal(x, 0, first, second)
        term = term[:first] + term[first + 1 : second] + term[second + 1 :] + letter
    return term, x
