"""Compiling grows with the number of steps, not with its square or worse: counts, not seconds."""

import inspect
import sys
from contextlib import contextmanager

import numpy as np
import pytest

import myad
from myad.compile.build import build
from myad.compile.kernels import fuse as fusion
from myad.compile.kernels.cost import COST
from myad.compile.kernels.expr import ARITY, Buffer, Const, Load, Pool, rewrite, show, walk
from myad.compile.kernels.fuse import MAX_NODES, vanishes
from myad.compile.llvm.entry import render
from myad.compile.load import module_of
from myad.compile.loops import interpret as interpreter
from myad.compile.loops.plan import _Placed
from myad.compile.loops.steps import run_interpreted
from myad.compile.program.trace import flatten, trace
from myad.compile.schedule import search
from myad.compile.schedule.layout import Machine
from myad.core import PRIMITIVES, Spec, composed, primitive
from myad.errors import CompileError

MACHINE = Machine(32, 16)


def sines(count):
    def f(x):
        for _ in range(count):
            x = x + 0.01 * myad.sin(x)
        return x.sum()

    return myad.value_and_grad(f), (np.linspace(0, 1, 12),)


def hyperbolic(count):
    def f(x):
        for _ in range(count):
            x = myad.tanh(x)
        return x

    return f, (np.linspace(-1, 1, 12),)


def lstm(count, batch=2, features=3, hidden=4):
    rng = np.random.default_rng(0)
    weights = {
        "w": rng.standard_normal((features, 4 * hidden)),
        "u": rng.standard_normal((hidden, 4 * hidden)),
        "b": rng.standard_normal(4 * hidden),
    }

    def f(p, x):
        h = c = np.zeros((batch, hidden))
        for t in range(count):
            z = x[t] @ p["w"] + h @ p["u"] + p["b"]
            i, g, n, o = (z[:, k * hidden : (k + 1) * hidden] for k in range(4))
            c = myad.sigmoid(g) * c + myad.sigmoid(i) * myad.tanh(n)
            h = myad.sigmoid(o) * myad.tanh(c)
        return (h * h).sum()

    return myad.value_and_grad(f), (weights, rng.standard_normal((count, batch, features)))


PROGRAMS = {"sines": sines, "tanh": hyperbolic, "lstm": lstm}


def planned(make, count):
    function, arguments = make(count)
    program, _ = trace(function, *arguments)
    return build(program, MACHINE)


def nodes(plan):
    return sum(len(kernel.nodes) for kernel in plan.kernels)


@contextmanager
def shallow(frames=120):
    """A stack too short for recursion over a program, and long enough for everything else."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + frames)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


@pytest.mark.parametrize("make", PROGRAMS.values(), ids=PROGRAMS)
@pytest.mark.parametrize("count", [6, 12])
def test_everything_grows_linearly(make, count):
    small, large = planned(make, count), planned(make, 2 * count)
    for measure in (nodes, lambda plan: len(plan.kernels), lambda plan: len(plan.program.steps)):
        assert measure(large) <= 2.2 * measure(small) + 4
    lines = [render(plan).count("\n") for plan in (small, large)]
    assert lines[1] <= 2.2 * lines[0]


@pytest.mark.parametrize("make", PROGRAMS.values(), ids=PROGRAMS)
def test_fusion_looks_at_a_bounded_number_of_kernels_per_step(make, monkeypatch):
    looks = []
    merged = fusion._merged
    monkeypatch.setattr(fusion, "_merged", lambda *a: looks.append(1) or merged(*a))
    for count in (8, 32):
        looks.clear()
        plan = planned(make, count)
        assert len(looks) <= 4 * len(plan.program.steps)


def test_no_kernel_exceeds_the_limit():
    plan = planned(hyperbolic, 300)
    assert max(len(kernel.nodes) for kernel in plan.kernels) <= MAX_NODES
    assert len(plan.kernels) > 3


def test_a_repeated_kernel_is_costed_lowered_and_compiled_once(monkeypatch):
    costed = []
    cheapest = search.cheapest
    monkeypatch.setattr(search, "cheapest", lambda k, *a: costed.append(k) or cheapest(k, *a))
    costs, functions = [], []
    for count in (8, 16):
        costed.clear()
        plan = planned(sines, count)
        costs.append(len(costed))
        functions.append(sum(code.model is None for code in plan.codes))
        assert len(plan.kernels) > count
    assert functions[1] <= functions[0] + 2
    assert costs[1] <= costs[0] + 4


def test_a_repeated_kernel_is_printed_by_the_name_of_its_model():
    plan = planned(sines, 4)
    repeated = next(code for code in plan.codes if code.model is not None)
    assert str(repeated).splitlines()[1] == f"  as {repeated.model.name}"


@pytest.mark.parametrize("make", PROGRAMS.values(), ids=PROGRAMS)
def test_results_agree_with_the_program_interpreted_and_native(make):
    function, arguments = make(5)
    program, _ = trace(function, *arguments)
    plan = build(program, MACHINE)
    leaves = [np.asarray(leaf) for _, leaf in flatten(arguments)]
    wanted = program.run(*leaves)
    interpreted = run_interpreted(plan, dict(zip(plan.inputs, leaves, strict=True)))
    module = module_of(plan)
    for place, value in zip(module.inputs, leaves, strict=True):
        module.write(place, value)
    module.run()
    for output, slow, right in zip(module.outputs, interpreted, wanted, strict=True):
        np.testing.assert_allclose(slow, right, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(module.read(output), right, rtol=1e-12, atol=1e-12)


def test_400_tanh_compile_on_a_short_stack():
    function, (x,) = hyperbolic(400)
    program, _ = trace(function, x)
    with shallow():
        plan = build(program, MACHINE)
        text = "\n".join(map(str, plan.kernels))
        (value,) = run_interpreted(plan, {plan.inputs[0]: x})
    np.testing.assert_allclose(value, program.run(x)[0], rtol=1e-12)
    assert len(text) < 20_000


def test_a_derivative_of_300_steps_is_planned_on_a_short_stack():
    with shallow():
        function, arguments = sines(300)
        program, _ = trace(function, *arguments)
        plan = build(program, MACHINE)
    assert len(plan.kernels) < 2 * 300


def test_sine_before_a_matrix_product_is_computed_once_per_element(monkeypatch):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((6, 8)), rng.standard_normal((8, 10))
    program, _ = trace(lambda x, w: myad.sin(x) @ w, x, w)
    plan = build(program, MACHINE)
    evaluated = []
    sin = interpreter._OPS["sin"]
    monkeypatch.setitem(interpreter._OPS, "sin", lambda v: evaluated.append(np.size(v)) or sin(v))
    (value,) = run_interpreted(plan, dict(zip(plan.inputs, (x, w), strict=True)))
    assert sum(evaluated) == x.size
    np.testing.assert_allclose(value, np.sin(x) @ w)


@pytest.mark.parametrize(
    "function", [lambda x: 0.5 * x, lambda x: x.astype("f8") * 2.0], ids=["scale", "cast"]
)
def test_what_costs_nothing_to_repeat_is_written_into_a_matrix_product(function):
    x, w = np.ones((6, 8), "f4"), np.ones((8, 10), "f4")
    same = (
        (lambda w: w) if function(myad.Tensor(x)).dtype == w.dtype else (lambda w: w.astype("f8"))
    )
    program, _ = trace(lambda x, w: function(x) @ same(w), x, w)
    assert len(build(program, MACHINE).kernels) == 1


def test_every_operation_has_a_price():
    assert COST.keys() == ARITY.keys()
    assert min(COST[name] for name in ("sin", "cos", "tanh", "log", "pow", "exp")) >= 10


def squares(count):
    """x^(2^count), each factor the node before."""
    node = Load(Buffer("x", (), "f64"), ())
    for _ in range(count):
        node = node * node
    return node


def test_expressions_are_as_large_as_their_different_values():
    expr = squares(200)
    with shallow(40):
        assert len(walk(expr)) == 201
        other = Buffer("y", (), "f64")
        swapped = rewrite(expr, lambda n: Load(other, n.index) if isinstance(n, Load) else None)
        assert len(walk(swapped)) == 201
        assert vanishes(swapped, other)
        assert show(expr) == "201 operations and operands, of x"


def test_show_names_what_is_used_twice():
    x = Load(Buffer("x", (), "f64"), ())
    total = x + 1.0
    assert show(total * total) == "mul(t1, t1) with t1 = add(x[], 1)"


def test_a_pool_makes_equal_nodes_one_and_keeps_signs_of_zero_apart():
    x, pool = Buffer("x", (), "f64"), Pool()
    assert pool(Load(x, ())) is pool(Load(x, ()))
    assert pool(Const(0.0, "f64")) is not pool(Const(-0.0, "f64"))


def test_simplification_ends_for_a_rule_that_is_written_with_itself():
    @primitive
    def circular(x):
        return x

    try:
        circular.shape(lambda x: Spec(x.shape, x.dtype))
        circular.kernel(composed(lambda x: circular(x)))
        program, _ = trace(lambda x: circular(x), np.ones(3))
        with pytest.raises(CompileError, match="circular are written with one another"):
            build(program, MACHINE)
    finally:
        del PRIMITIVES["circular"]


def test_a_library_function_of_vectors_is_written_out_once_and_called():
    x = np.ones(64, "f4")
    program, _ = trace(lambda x: (x**2.5) ** 1.5, x)
    ir = render(build(program, MACHINE))
    assert ir.count("@llvm.pow.v8f32(") == 2  # its declaration and one call
    assert ir.count(" @pow.v8f32(") > 2


def test_places_in_memory_are_the_lowest_that_are_free_meanwhile():
    placed = _Placed(4)
    for count, span in ((128, (0, 9)), (64, (0, 3)), (64, (4, 9))):
        placed.add(placed.lowest(count, span), count, span)
    assert placed.rows[0, :3].tolist() == [0, 128, 128]
    assert placed.lowest(64, (3, 4)) == 192
