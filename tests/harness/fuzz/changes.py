"""Strategies of hypothesis: valid documents and files, changed by an attacker or an accident."""

import copy
import json
from typing import Any

from hypothesis import strategies as st

INTEGERS = st.one_of(
    st.integers(-3, 12), st.sampled_from([2**31, 2**53, 2**63, -(2**63), 10**30, 10**400])
)
FLOATS = st.one_of(
    st.floats(), st.sampled_from([0.0, -0.0, 5e-324, 1e-300, 1e15, 1e300, 1.7976931348623157e308])
)
TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [
            "", ".", "..", "../../../victim", "/etc/passwd", "a\0b", "\x1b[2J\x1b]0;x\x07",
            "\u202egnp", "=cmd|'/c calc'!A1", "<script>alert(1)</script>", "$\\frac{$", "x" * 500,
            "NaN", "1e999", "warmup0-myad", "0-myad", "{{ 7 * 7 }}", "%s%n", "\ud800",
        ]
    ),
)  # fmt: skip
SCALARS = st.one_of(st.none(), st.booleans(), INTEGERS, FLOATS, TEXTS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=8,
)


@st.composite
def changed(draw: st.DrawFn, document: Any) -> Any:
    """A JSON document with one to four of its values replaced, removed, repeated or added."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 4))):
        places = list(_places(document))
        if not places:
            break
        holder, key = draw(st.sampled_from(places))
        change = draw(st.sampled_from(["replace", "similar", "remove", "add", "repeat"]))
        if change == "remove":
            del holder[key]
        elif change == "add" and isinstance(holder, dict):
            holder[draw(TEXTS)] = draw(VALUES)
        elif change == "repeat" and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        elif change == "similar":
            holder[key] = draw(_similar(holder[key]))
        else:
            holder[key] = draw(VALUES)
    return document


@st.composite
def changed_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """A file with a few of its bytes changed, cut off, put in or repeated."""
    found = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(found) - 1, 0)))
        change = draw(st.sampled_from(["byte", "cut", "insert", "repeat", "head"]))
        if change == "byte" and found:
            found[place] = draw(st.integers(0, 255))
        elif change == "cut":
            del found[place : place + draw(st.integers(1, 64))]
        elif change == "insert":
            found[place:place] = draw(st.binary(max_size=16))
        elif change == "repeat":
            found[place:place] = found[place : place + 64]
        else:
            del found[place:]
    return bytes(found)


def as_json(document: Any) -> bytes:
    """The text of a document; NaN and infinity, which JSON does not know, as Python writes them."""
    return json.dumps(document).encode()


def _places(document: Any) -> Any:
    if isinstance(document, dict):
        for key, value in document.items():
            yield document, key
            yield from _places(value)
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield document, index
            yield from _places(value)


def _similar(value: Any) -> st.SearchStrategy[Any]:
    """A value of the same kind, which passes more of the checks."""
    if isinstance(value, bool):
        return st.booleans()
    if isinstance(value, int):
        return INTEGERS
    if isinstance(value, float):
        return FLOATS
    return TEXTS if isinstance(value, str) else VALUES
