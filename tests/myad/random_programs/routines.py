"""Places, loops and branches that data decide, as operations of random programs."""

from __future__ import annotations

from tests.myad.random_programs.draft import Draft


def items(d: Draft) -> None:
    """Places that data decide, inside of the bounds: picked, added to and set."""
    x = d.anything(1)
    value = d.values[x]
    n = len(value)
    if not n:
        return
    shape = d.rng.choice(((), (2,), (3,), (2, 2), (5,)))
    i = d.give(d.numbers.integers(-n, n, shape).astype(d.rng.choice(("int32", "int64", "int8"))))
    y = d.new((*shape, *value.shape[1:]), value.dtype)
    pair = "{1}" if value.ndim == 1 or not value.shape[1] else "{1}, {1} * 0"
    name, text, reads = d.rng.choice(
        (
            ("take", "myad.take({0}, {1})", (x, i)),
            ("at get", "myad.at({0})[{1}].get()", (x, i)),
            ("take last", "myad.take({0}, {1} * 0, -1)", (x, i)),
            ("at add", "myad.at({0})[{1}].add({2})", (x, i, y)),
            ("at set", "myad.at({0})[{1}].set({2})", (x, i, y)),
            ("pairs", "myad.at({0})[" + pair + "].get()", (x, i)),
        )
    )
    d.add(name, text, *reads)


def sorting(d: Draft) -> None:
    x = d.new(d.shape() or (4,), d.any_dtype())
    d.add("sort", f"myad.sort({{0}}, {d.rng.randrange(d.values[x].ndim)})", x)


LOOPS = (
    "myad.scan(lambda c, x: (c * 0.5 + abs(x), c), abs({0}[0]), {0})[1]",
    "myad.scan(lambda c, x: (myad.tanh(c) * 0.5 + abs(x), (c, c.sum())), abs({0}[0]), {0})[0]",
    "myad.scan(lambda c, x: (myad.maximum(c, x), c), {0}[-1], {0}, reverse=True)[1]",
    "myad.scan(lambda c, x: ((c[0] + 1, c[1] * 0.25 + abs(x)), c[0]), (0, abs({0}[0])), {0})[0][1]",
    "myad.scan(lambda c, x: ((c[1], c[0]), c[1] * x), ({0}[0], {0}[0]), {0})[1]",
    "myad.scan(lambda c, k: (c * 0.5 + myad.take({0}, k), c), {0}[0], np.arange(2) - 1)[0]",
    "myad.scan(lambda c, x: (myad.at(c)[0].set(x * 0.5), c[-1]), {0}, {0})[1]",
    "myad.scan(lambda c, x: (x, myad.scan(lambda d, y: (d * 0.5 + y, d), c, {0})[0]), {0}[0], {0})"
    "[1]",
    "myad.stop_gradient(myad.while_loop(lambda s: s[1] < 3, lambda s: (myad.tanh(s[0]), s[1] + 1),"
    " ({0}, 0))[0])",
    "myad.stop_gradient(myad.while_loop(lambda s: s[1] < 0, lambda s: (s[0] * {0}, s[1] + 1),"
    " ({0}, 0))[0])",
    "myad.vmap(lambda x: (x * x).sum())({0})",
    "myad.vmap(lambda x: myad.scan(lambda c, _: (c * 0.5 + abs(x), None), x, None, 3)[0])({0})",
    "myad.vmap(lambda x: myad.take({0}, myad.argmax(x) * 0))({0})",
    "myad.vmap(lambda x: myad.cond({0}.size > 1, lambda: x * 2.0, lambda: -x))({0})",
    "myad.checkpoint(lambda x: myad.sin(x) * x)({0})",
)  # fmt: skip
WHOLE_LOOPS = (
    "myad.scan(lambda c, x: (x, c), {0}[0], {0})[1]",
    "myad.scan(lambda c, x: (myad.maximum(c, x), c == x), {0}[0], {0}, reverse=True)[1]",
    "myad.while_loop(lambda s: s[1] < 3, lambda s: (s[0][::-1], s[1] + 1), ({0}, 0))[0]",
    "myad.vmap(lambda x: myad.where(x == 0, x, x * x))({0})",
)


def loops(d: Draft) -> None:
    x = d.floating(1)
    if len(d.values[x]) and d.values[x].size:
        d.add("loop", d.rng.choice(LOOPS), x)


def whole_loops(d: Draft) -> None:
    x = d.pick(
        lambda v: v.dtype.kind in "iub" and v.ndim > 0 and len(v) > 0, lambda: (3,), d.integer
    )
    d.add("loop", d.rng.choice(WHOLE_LOOPS), x)


BRANCHES = (
    "myad.cond({0}, lambda x: myad.sin(x), lambda x: x * 2.0, {1})",
    "myad.cond({0}, lambda: {1} * {2}.sum(), lambda: {1})",
    "myad.cond({0}, lambda x: (x, {2}), lambda x: (x * 0.5, {2} * 3.0), {1})[1]",
)


def branches(d: Draft) -> None:
    p = d.pick(lambda v: v.dtype == bool and v.ndim == 0, tuple, bool)
    x = d.floating()
    d.add("cond", d.rng.choice(BRANCHES), p, x, d.partner(x))
