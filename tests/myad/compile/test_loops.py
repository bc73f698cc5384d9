"""Loop code: built, printed, interpreted, and proved to stay inside its storages."""

import ctypes

import numpy as np
import pytest

from myad.compile.kernels.expr import Buffer, cast
from myad.compile.kernels.index import Affine, Axis, affine
from myad.compile.kernels.kernel import KernelBuilder, Source
from myad.compile.llvm.native import NativeModule, object_code
from myad.compile.llvm.render import Renderer
from myad.compile.loops.interpret import interpret
from myad.compile.loops.loops import LoopBuilder, check
from myad.compile.loops.lower import lower
from myad.compile.schedule.choose import choose
from myad.compile.schedule.layout import Layout, Machine, Storage
from myad.compile.schedule.schedule import Schedule
from myad.compile.schedule.search import plan
from myad.errors import CompileError

WIDE = Machine(64, 32)


def total_of(size, reach):
    """sum of x[0:reach], with x of `size` elements."""
    x, out = Storage("x", "f32", size), Storage("out", "f32", 1)
    build = LoopBuilder("total")
    i = Axis("i", reach)
    with build.loop(i, [build.const(0, "f32")]) as loop:
        loop.yields = [build.apply("add", loop.carried[0], build.load(x, affine(i)))]
    build.store(out, affine(0), loop.yields[0])
    return build.code, x, out


def test_loop_code_prints_readably():
    code, _, _ = total_of(5, 5)
    assert str(code) == (
        "total(x:f32[5], out:f32[1]):\n"
        "  for i in 0..5:\n"
        "    v0 starts at 0\n"
        "    v1:f32 = x[i]\n"
        "    v2:f32 = add(v0, v1)\n"
        "    v0 <- v2\n"
        "  out[0] = v2"
    )


def test_the_interpreter_runs_it():
    code, x, out = total_of(5, 5)
    memory = {x: np.arange(5, dtype="f4"), out: np.zeros(1, "f4")}
    interpret(check(code), memory)
    assert memory[out][0] == 10


def test_an_access_out_of_bounds_is_refused():
    code, _, _ = total_of(5, 6)
    with pytest.raises(CompileError, match=r"total: elements 0 to 5 of x, which has 5"):
        check(code)


def test_a_vector_that_reaches_out_is_refused():
    build = LoopBuilder("wide")
    build.load(Storage("x", "f32", 10), affine(4), lanes=8)
    with pytest.raises(CompileError, match="elements 4 to 11 of x, which has 10"):
        check(build.code)


def test_a_masked_vector_may_end_at_the_end():
    build = LoopBuilder("masked")
    build.load(Storage("x", "f32", 10), affine(4), lanes=8, valid=6)
    check(build.code)


def test_a_store_before_the_start_is_refused():
    build = LoopBuilder("low")
    build.store(Storage("x", "f32", 10), affine(-1), build.const(1, "f32"))
    with pytest.raises(CompileError, match="elements -1 to -1"):
        check(build.code)


def test_a_counter_outside_its_loop_is_refused():
    build = LoopBuilder("lost")
    build.load(Storage("x", "f32", 10), affine(Axis("i", 3)))
    with pytest.raises(CompileError, match="not in scope"):
        check(build.code)


def test_equal_values_are_built_once_until_a_store():
    build = LoopBuilder("twice")
    x = Storage("x", "f32", 4)
    first = build.load(x, affine(1))
    assert build.load(x, affine(1)) is first
    build.store(x, affine(1), build.const(2, "f32"))
    assert build.load(x, affine(1)) is not first


def test_affine_indices_are_numbers():
    i, j = Axis("i", 4), Axis("j", 3)
    index = 2 * i + j - 1
    assert index.bounds() == (-1, 7)
    assert index == Affine({j: 1, i: 2}, -1)
    assert index.substitute({i: affine(j) + 1}) == 3 * j + 1
    assert (i + Axis("one", 1)).plain() is i


def sums(n, k, vector_bytes, **schedule):
    """out[i] = Σ_j x[i, j]·y[j] under a schedule given by hand: loop code and its buffers."""
    x, y = Buffer("x", (n, k), "f32", "input"), Buffer("y", (k,), "f32", "input")
    out = Buffer("out", (n,), "f32")
    builder = KernelBuilder("sums", out)
    i, j = Axis("i", n), Axis("j", k)
    kernel = builder.define([i], Source(x)[i, j] * Source(y)[j])
    machine = Machine(vector_bytes, 16)
    layouts = {b: Layout(b, machine, tuple(range(len(b.shape)))) for b in (x, y, out)}
    axes = {"i": i, "j": j}
    if "vector" in schedule:
        schedule["vector"] = axes[schedule["vector"]]
    for name in ("block", "unroll"):
        schedule[name] = {axes[a]: c for a, c in schedule.get(name, {}).items()}
    schedule["reductions"] = [axes[a] for a in schedule.get("reductions", [])]
    schedule["order"] = [(axes[a], step) for a, step in schedule.get("order", [])]
    return lower(kernel, Schedule(**schedule), layouts), layouts, (x, y, out)


SCHEDULES = {
    "scalar": {"order": [("i", 1)], "reductions": ["j"]},
    "lanes-along-the-sum": {"vector": "j", "lanes": 8, "order": [("i", 1)], "reductions": ["j"]},
    "two-vectors": {
        "vector": "j", "lanes": 4, "chunks": 2, "order": [("i", 1)], "reductions": ["j"], "ways": 2,
    },
    "lanes-along-the-output": {
        "vector": "i", "lanes": 8, "block": {"i": 8}, "order": [("i", 8)], "reductions": ["j"],
    },
    "block": {
        "block": {"i": 3}, "order": [("i", 3)], "reductions": ["j"], "unroll": {"j": 7},
    },
    "unrolled": {"order": [("i", 1)], "unroll": {"j": 21}, "ways": 3},
    "what is left of a block": {"block": {"i": 4}, "order": [("i", 4)], "reductions": ["j"]},
    "what is left of what is written out": {
        "block": {"i": 2}, "order": [("i", 2)], "reductions": ["j"], "unroll": {"j": 8}, "ways": 2,
    },
    "sums in parts": {"order": [("j", 4), ("i", 1)], "reductions": ["j"], "unroll": {"j": 4}},
    "lanes of sums in parts": {
        "vector": "i", "lanes": 8, "block": {"i": 8}, "order": [("j", 5), ("i", 8)],
        "reductions": ["j"],
    },
    "tiles": {
        "block": {"i": 2}, "order": [("i", 4), ("j", 10), ("i", 2)], "reductions": ["j"],
    },
    "shared": {"block": {"i": 4}, "order": [("i", 4)], "reductions": ["j"], "shared": 0},
}  # fmt: skip


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_every_schedule_gives_the_same_sums(schedule, rng):
    x, y = rng.standard_normal((9, 21)).astype("f4"), rng.standard_normal(21).astype("f4")
    code, layouts, buffers = sums(9, 21, 32, **dict(schedule))
    memory = {layouts[b].storage: np.zeros(layouts[b].size, "f4") for b in buffers}
    rows = memory[layouts[buffers[0]].storage][: 9 * layouts[buffers[0]].strides[0]]
    rows.reshape(9, -1)[:, :21] = x
    memory[layouts[buffers[1]].storage][:21] = y
    out = memory[layouts[buffers[2]].storage]
    interpret(code, memory)
    np.testing.assert_allclose(out[:9], x @ y, rtol=1e-5)
    out[:] = 0
    renderer = Renderer()
    renderer.function(code)
    text = renderer.text().replace("define internal void @sums", "define void @sums")
    module = NativeModule(object_code(text))
    units = [ctypes.c_int64] * 2 if code.units else []
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, *units)(module.address("sums"))
    pointers = [memory[s].ctypes.data for s in code.storages]
    for first in range(max(1, code.units)):  # one unit at a time, as several threads would
        call(*pointers, *([first, first + 1] if units else []))
    np.testing.assert_allclose(out[:9], x @ y, rtol=1e-5)


def test_the_schedule_follows_the_shapes():
    """Many filters: lanes are filters; one filter: lanes are pixels of a row."""

    def vector_of(filters):
        images = Buffer("images", (1, 28, 28, 1), "f32", "input")
        weights = Buffer("weights", (3, 3, 1, filters), "f32", "input")
        out = Buffer("out", (1, 26, 26, filters), "f32")
        builder = KernelBuilder("conv", out)
        n, i, j, f = (Axis(a, s) for a, s in zip("nijf", out.shape, strict=True))
        u, v = Axis("u", 3), Axis("v", 3)
        pixel = Source(images)[n, i + u, j + v, 0]
        kernel = builder.define([n, i, j, f], pixel * Source(weights)[u, v, 0, f])
        layouts = plan([kernel], [images, weights, out], WIDE)
        return choose(kernel, layouts, WIDE).vector.name

    assert vector_of(16) == "f"
    assert vector_of(1) in ("i", "j")


def test_a_cast_of_a_cast_is_kept_apart():
    x = Source(Buffer("x", (3,), "u8"))
    value = cast(cast(x[Axis("i", 3)], "i32"), "f32")
    assert value.dtype == "f32"
    assert cast(value, "f32") is value
