"""Some hundred random programs with fixed seeds; and that the checker sees what is wrong.

`make programs` runs more of them.
"""

import numpy as np
import pytest

from tests.myad.random_programs import check as checker
from tests.myad.random_programs import machines
from tests.myad.random_programs.check import MACHINES, check
from tests.myad.random_programs.generate import generate
from tests.myad.random_programs.program import Line, RandomProgram, written
from tests.myad.random_programs.refusals import REFUSALS, kind_of
from tests.myad.random_programs.rounding import mismatch
from tests.myad.random_programs.shrink import shrink
from tests.myad.random_programs.small import SMALL

PROGRAMS = 120  # each on one machine of several, in turn
PACKS = 12


@pytest.mark.parametrize("pack", range(PACKS))
def test_compiled_programs_give_what_eager_gives(pack):
    for seed in range(pack, PROGRAMS, PACKS):
        program = generate(seed)
        verdict = check(program, [MACHINES[seed % len(MACHINES)]])
        assert not verdict.failed, f"{verdict}\n{program.snippet()}"


def test_programs_are_as_varied_as_they_should_be():
    programs = [generate(seed) for seed in range(400)]
    kinds = {(p.kind, p.order) for p in programs}
    assert kinds >= {("plain", n) for n in range(3)} | {("state", n) for n in range(3)}
    assert ("training", 1) in kinds
    dtypes = {a.dtype.name for p in programs for a in p.inputs.values()}
    assert dtypes >= {"float32", "float64", "bool", "int8", "int64", "uint8", "uint32"}
    assert any(0 in a.shape for p in programs for a in p.inputs.values())
    assert any(a.shape == () for p in programs for a in p.inputs.values())
    assert len({line.op for p in programs for line in p.lines}) > 60


def test_a_seed_gives_one_program():
    assert generate(7).snippet() == generate(7).snippet()


def hand_made(text="myad.sin(x0)", **changes):
    """y = sin(x0 + c0), by hand."""
    lines = [Line("v0", "x0 + c0", ("x0", "c0"), "+"), Line("v1", text, ("x0", "v0"), "sin")]
    values = {"inputs": {"x0": np.array([0.5, 1.0])}, "constants": {"c0": np.array([1.0, 2.0])}}
    return RandomProgram(seed=0, lines=lines, outputs=["v0", "v1"], **values, **changes)


def long_sums():
    """A product of matrices whose rows threads share."""
    arrays = {"x0": np.ones((7, 9)), "x1": np.ones((9, 5))}
    lines = [Line("v0", "x0 @ x1", ("x0", "x1"), "product")]
    return RandomProgram(seed=0, inputs=arrays, constants={}, lines=lines, outputs=["v0"])


LINES = (
    "myad.sin(x0)",
    "myad.take(myad.exp(x0), np.array([1, 0]))",
    "myad.scan(lambda c, x: (myad.tanh(c) + x, c), v0[0], myad.sin(v0))[1]",
    "myad.vmap(lambda x: myad.cond(x > 1.0, lambda: myad.sin(x), lambda: myad.cos(x)))(x0)",
)


@pytest.mark.parametrize("text", LINES)
def test_the_checker_finds_results_that_are_off(text, monkeypatch):
    """Machine code whose results are one in 10,000 million too large."""
    program = hand_made(text)
    program.outputs = ["v1"]
    assert not check(program).failed
    right = checker.Function.native

    def native(self):
        return lambda *how: [v * (1 + 1e-10) for v in right(self)(*how)]

    monkeypatch.setattr(checker.Function, "native", native)
    assert "native: result 0: 2 of 2 elements" in check(program).failed


def test_the_checker_finds_what_hangs_on_old_memory(monkeypatch):
    right = checker.Function.native

    def native(self):
        return lambda filling, n: [v + (filling == "NaN") for v in right(self)(filling, n)]

    monkeypatch.setattr(checker.Function, "native", native)
    assert "result 0 changes in memory full of NaN" in check(hand_made()).failed


def test_the_checker_finds_what_hangs_on_the_number_of_threads(monkeypatch):
    right = checker.Function.native

    def native(self):
        # no difference in memory full of NaN with one thread, and one with several
        return lambda filling, n: [v * (1 + 1e-15 * (n > 1)) for v in right(self)(filling, n)]

    monkeypatch.setattr(checker.Function, "native", native)
    assert "result 0 changes with 3 threads" in check(long_sums()).failed


def test_the_checker_runs_units_by_themselves(monkeypatch):
    right = machines.interpret
    ranges = set()

    def interpret(code, memory, units, place=0):
        ranges.add(units)
        right(code, memory, units, place)

    monkeypatch.setattr(machines, "interpret", interpret)
    assert not check(long_sums(), [SMALL]).failed
    assert {range(n, n + 1) for n in range(2)} <= ranges


def test_an_exception_that_is_not_ours_is_a_failure(monkeypatch):
    def broken(*args, **options):
        raise AssertionError("no row for sin")

    monkeypatch.setattr(checker, "Function", broken)
    assert "AssertionError: no row for sin" in check(hand_made()).failed


def test_an_unlisted_refusal_is_a_failure():
    assert kind_of("compile: no kernel rule for singular_spectrum. Leave") == next(iter(REFUSALS))
    assert kind_of("k3_add: elements 0 to 3 of x. This is a fault of the compiler") is None
    spectrum = hand_made("myad.linalg.eigh(myad.outer(v0, v0))[0]")
    assert check(spectrum).refused == next(iter(REFUSALS))


def test_a_failing_program_is_made_small():
    def fails(program):
        return any(line.op == "sin" for line in program.lines)

    small = shrink(hand_made(), fails)
    assert [line.op for line in small.lines] == ["sin"]
    assert small.outputs == ["v1"]


def test_what_rounding_explains_is_no_difference():
    want = np.array([1.0, np.nan, np.inf, 2.0])
    moved = [np.array([1.0 + 1e-15, np.nan, np.inf, 1e300 * 1e10])]
    assert mismatch(np.array([1.0 + 1.5e-15, np.nan, np.inf, np.inf]), want, moved) is None
    assert "1 of 4" in mismatch(np.array([1.0 + 1e-14, np.nan, np.inf, 2.0]), want, moved)
    assert "1 of 4" in mismatch(np.array([1.0, 0.0, np.inf, 2.0]), want, moved)
    assert "1 of 4" in mismatch(np.array([1.0, np.nan, -np.inf, 2.0]), want, moved)
    assert "float32[4] for float64[4]" in mismatch(want.astype("f4"), want, moved)


@pytest.mark.parametrize("array", [np.zeros((2, 0)), np.array([[1.5, -np.inf]]), np.array(True)])
def test_arrays_are_written_as_python(array):
    found = eval(written(array), {"np": np, "inf": np.inf, "nan": np.nan})
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(found, array)


def test_snippets_run(capsys):
    exec(hand_made().snippet(), {})
    assert "compiled" in capsys.readouterr().out
