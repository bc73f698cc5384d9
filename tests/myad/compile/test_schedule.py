"""What the schedule chooses: register blocks, the order of loops, tiles, rows, shared loops."""

from math import prod

import numpy as np
import pytest

import myad
from myad.compile.build import build
from myad.compile.kernels.expr import Buffer
from myad.compile.llvm import native
from myad.compile.loops.loops import Loop, Value, statements
from myad.compile.program.trace import trace
from myad.compile.schedule import share
from myad.compile.schedule.choose import choose
from myad.compile.schedule.layout import CONFLICT, Layout, Machine
from myad.compile.schedule.registers import _blocks, _Model

AVX2, AVX512 = Machine(32, 16), Machine(64, 32, 48 << 10, 2 << 20)
MACHINES = {"sse": Machine(16, 16), "avx2": AVX2, "avx512": AVX512}


def scheduled(function, machine, *shapes, dtype="float32"):
    """The plan, and the schedule of its first sum of products."""
    program, _ = trace(function, *(np.zeros(shape, dtype) for shape in shapes))
    plan = build(program, machine)
    kernel = next(kernel for kernel in plan.kernels if kernel.combine == "add")
    return plan, kernel, choose(kernel, plan.layouts, machine)


def product(x, w):
    return x @ w


def sums_of(schedule):
    """Registers that hold sums."""
    lanes = schedule.lanes if schedule.vector in schedule.block else 1
    return prod(schedule.block.values()) // lanes * schedule.ways


SHAPES = [
    [(512, 512), (512, 512)], [(509, 509), (509, 509)], [(7, 1021), (1021, 10)],
    [(31, 3), (3, 29)], [(1024, 17), (17, 1)],
]  # fmt: skip


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_sums_fit_the_registers(machine, shapes):
    for dtype in ("float32", "float64"):
        _, _, schedule = scheduled(product, machine, *shapes, dtype=dtype)
        assert sums_of(schedule) < machine.registers


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_convolutions_fit_the_registers(machine):
    def convolution(x, w):
        return myad.conv2d(x, w, padding="same")

    _, _, schedule = scheduled(convolution, machine, (8, 13, 13, 16), (3, 3, 16, 31))
    assert 8 <= sums_of(schedule) < machine.registers


@pytest.mark.parametrize("size", [509, 1021])
def test_primes_have_blocks_with_remainders(size):
    """As large as those of a size that many numbers divide; the rest is smaller."""
    plan, kernel, schedule = scheduled(product, AVX512, (size, size), (size, size))
    _, _, even = scheduled(product, AVX512, (512, 512), (512, 512))
    assert sums_of(schedule) >= 0.9 * sums_of(even)
    axis = next(axis for axis in kernel.parallel if axis is not schedule.vector)
    assert size % schedule.block[axis]
    code = next(code for code in plan.codes if code.name == kernel.name)
    fused = [s for s in statements(code.body) if isinstance(s, Value) and s.op == "fma"]
    assert len({s.lanes for s in fused}) == 1
    loops = [s for s in statements(code.body) if isinstance(s, Loop)]
    inner = [loop for loop in loops if not any(isinstance(s, Loop) for s in loop.body)]
    assert len({len(loop.starts) for loop in inner}) > 1  # blocks of several sizes


def test_the_best_block_is_found_without_looking_at_all():
    """The bound by which blocks are left out is one."""
    slides = [[1, 0, 0], [0, 1, 1], [3, 0, 1]]
    for sizes in ([7, 13, 4], [64, 1, 9], [5, 5, 5]):
        model = _Model(sizes, slides, 32)
        blocks = _blocks(sizes, 32)
        assert all(prod(block) <= 32 and sum(n > 1 for n in block) <= 3 for block in blocks)
        assert len(set(blocks)) == len(blocks) > 10
        for block in blocks:
            for fetched in (0.0, 300.0):
                assert model.least(block) <= model.cycles(block, fetched)


@pytest.mark.parametrize("size", [1024, 1021])
def test_large_products_are_tiled(size):
    _, kernel, schedule = scheduled(product, AVX512, (size, size), (size, size))
    loops = [axis for axis, _ in schedule.order]
    tiled = {axis for axis in loops if loops.count(axis) > 1}
    outer_sums = {axis for axis in loops if axis in kernel.reduced}
    assert tiled | outer_sums, str(schedule)


@pytest.mark.parametrize("shapes", [[(32, 32), (32, 32)], [(20, 64), (64, 24)]], ids=str)
def test_what_a_cache_holds_keeps_its_order(shapes):
    plan, kernel, schedule = scheduled(product, AVX512, *shapes)
    loops = [axis for axis, _ in schedule.order]
    assert len(set(loops)) == len(loops)
    assert not set(loops) & set(kernel.reduced)
    steps = [abs(plan.layouts[kernel.output].step(kernel.index, axis)) for axis in loops]
    assert steps == sorted(steps, reverse=True)


def test_tiles_follow_the_caches():
    """The same product is not tiled where a first-level cache holds it."""
    roomy = Machine(64, 32, level1=64 << 20, level2=64 << 20)
    _, kernel, schedule = scheduled(product, roomy, (1024, 1024), (1024, 1024))
    loops = [axis for axis, _ in schedule.order]
    assert len(set(loops)) == len(loops)
    assert not set(loops) & set(kernel.reduced)


def test_rows_that_would_collide_in_the_cache_are_a_vector_longer():
    width = CONFLICT // 4
    for columns, step in ((width, width + 8), (width - 8, width - 8), (2 * width, 2 * width + 8)):
        layout = Layout(Buffer("x", (64, columns), "f32"), AVX2, (0, 1))
        assert layout.row_step == step
        assert layout.strides == [step, 1]
    assert Layout(Buffer("x", (width,), "f32"), AVX2, (0,)).row_step == width  # one row alone
    caller = Buffer("x", (64, width), "f32", "argument")
    assert Layout(caller, AVX2, (0, 1)).row_step == 1  # lies as it lies


def test_threads_share_loops_over_outputs_alone():
    _, kernel, schedule = scheduled(product, AVX512, (1024, 1024), (1024, 1024))
    assert schedule.shared is not None
    assert schedule.order[schedule.shared][0] in kernel.parallel
    _, _, small = scheduled(product, AVX512, (8, 8), (8, 8))
    assert small.shared is None


def test_a_result_that_is_cleared_first_is_one_threads_work(monkeypatch):
    monkeypatch.setattr(share, "WORTH", 4000.0)
    program, _ = trace(lambda x: myad.pad(x, [(1, 1), (1, 1)]), np.zeros((600, 600), "f4"))
    for arrays, shared in ((False, True), (True, False)):
        (code,) = build(program, AVX512, arrays=arrays).codes
        assert (code.units > 0) is shared


def write_caches(folder, *caches):
    for number, (kind, level, size) in enumerate(caches):
        index = folder / f"index{number}"
        index.mkdir()
        for name, text in (("type", kind), ("level", level), ("size", size)):
            if text is not None:
                (index / name).write_text(f"{text}\n")


CACHES = {
    "as Linux tells": (
        [("Data", "1", "48K"), ("Instruction", "1", "32K"), ("Unified", "2", "2048K"),
         ("Unified", "3", "30720K")],
        (48 << 10, 2 << 20),
    ),
    "none": ([], (Machine.level1, Machine.level2)),
    "one of them": ([("Unified", "2", "1024K")], (Machine.level1, 1 << 20)),
    "nonsense": (
        [("Data", "one", "48K"), ("Data", "1", "manyK"), ("Data", "1", None), ("Data", "2", "")],
        (Machine.level1, Machine.level2),
    ),
    "nothing at all": (
        [("Data", "1", "0K"), ("Unified", "2", "-4K")], (Machine.level1, Machine.level2)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CACHES)
def test_sizes_of_caches_are_read_or_usual(name, tmp_path, monkeypatch):
    caches, wanted = CACHES[name]
    write_caches(tmp_path, *caches)
    monkeypatch.setattr(native, "Path", lambda _: tmp_path)
    monkeypatch.setattr(native.sys, "platform", "linux")
    assert native._caches() == wanted
