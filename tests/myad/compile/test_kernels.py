"""Every kernel rule: interpreted and native, in both precisions and three vector widths."""

import numpy as np
import pytest

from myad.compile.build import build
from myad.compile.load import module_of
from myad.compile.loops.steps import run_interpreted
from myad.compile.program.trace import trace
from myad.compile.schedule.layout import Machine
from myad.core import PRIMITIVES

MACHINES = {"avx512": Machine(64, 32), "avx2": Machine(32, 16), "sse": Machine(16, 16)}
# Their sweeps end when the data say so: these stay eager, and `compile` says so by name.
WITHOUT_KERNEL = {"symmetric_spectrum", "singular_spectrum"}


def test_every_primitive_has_a_kernel_rule_or_is_listed():
    missing = {name for name, op in PRIMITIVES.items() if op.kernel_rule is None}
    assert missing == WITHOUT_KERNEL


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_interpreted_and_native_agree_with_numpy(case, dtype, machine, rng):
    if case.op.name in WITHOUT_KERNEL:
        return
    inputs = case.inputs(rng, np.dtype(dtype))
    program, _ = trace(lambda *xs: case.op(*xs, **case.static), *inputs)
    plan = build(program, machine)
    wanted = np.asarray(case.op(*inputs, **case.static))
    (interpreted,) = run_interpreted(plan, dict(zip(plan.inputs, inputs, strict=True)))
    module = module_of(plan)
    for place, value in zip(module.inputs, inputs, strict=True):
        module.write(place, value)
    module.run()
    native = module.read(module.outputs[0])
    # a few roundings of sums and of exp, which is exact to 2 units in the last place
    tolerance = 2e-6 if dtype == "float32" else 1e-14
    scale = max(1.0, float(np.abs(wanted).max()))
    np.testing.assert_allclose(interpreted, wanted, rtol=tolerance, atol=tolerance * scale)
    np.testing.assert_allclose(native, wanted, rtol=tolerance, atol=tolerance * scale)
    assert native.dtype == wanted.dtype


def test_a_second_run_is_the_same_as_the_first(case, rng):
    """Nothing is left behind in memory that buffers share."""
    if case.op.name in WITHOUT_KERNEL:
        return
    inputs = case.inputs(rng, np.dtype("float32"))
    program, _ = trace(lambda *xs: case.op(*xs, **case.static), *inputs)
    plan = build(program, Machine(64, 32))
    module = module_of(plan)
    results = []
    for _ in range(2):
        for place, value in zip(module.inputs, inputs, strict=True):
            module.write(place, value)
        module.run()
        results.append(module.read(module.outputs[0]))
    np.testing.assert_array_equal(*results)
