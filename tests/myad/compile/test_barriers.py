"""Where threads wait for one another: only where one might touch what another has in hand."""

import pytest

from myad.compile.kernels.index import Axis, affine
from myad.compile.llvm.threads import barriers
from myad.compile.loops.loops import LoopBuilder
from myad.compile.loops.plan import Plan
from myad.compile.schedule.layout import Storage

A, B, C, D = (Storage(name, "f32", 16) for name in "abcd")
CALLERS = Storage("x", "f32", 16, "argument")


def kernel(name, reads, writes, units):
    """Loop code that reads some storages and writes one."""
    build = LoopBuilder(name)
    axis = Axis("i", 16)
    with build.loop(axis, unit=0 if units else None):
        values = [build.load(storage, affine(axis)) for storage in reads]
        build.store(writes, affine(axis), values[0] if values else build.const(1.0, "f32"))
    build.code.units = units
    return build.code


def plan_of(*codes, offsets=(0, 64, 128, 192)):
    places = dict(zip((A, B, C, D), offsets, strict=True))
    return Plan(None, [], {}, list(codes), [], [], [], {}, places, 256)


# (reads, writes, units) of each kernel, and before which all meet
SHARED, ALONE = 16, 0
CASES = {
    "one reads what a shared one wrote": (
        [([], A, SHARED), ([A], B, SHARED)], [False, True]
    ),
    "independent ones": ([([], A, SHARED), ([], B, SHARED), ([C], D, SHARED)], [False] * 3),
    "two read the same": ([([A], B, SHARED), ([A], C, SHARED)], [False, False]),
    "one writes what a shared one still reads": (
        [([A], B, SHARED), ([], A, SHARED)], [False, True]
    ),
    "both write the same": ([([], A, SHARED), ([], A, SHARED)], [False, True]),
    "the first thread alone, one after the other": (
        [([], A, ALONE), ([A], B, ALONE), ([B], A, ALONE)], [False] * 3
    ),
    "a shared one reads what the first thread wrote": (
        [([], A, ALONE), ([A], B, SHARED)], [False, True]
    ),
    "the first thread reads what a shared one wrote": (
        [([], A, SHARED), ([A], B, ALONE)], [False, True]
    ),
    "one meeting serves all that was before": (
        [([], A, SHARED), ([], B, SHARED), ([A], C, SHARED), ([B], D, SHARED)],
        [False, False, True, False],
    ),
    "after a meeting what is written anew counts": (
        [([], A, SHARED), ([A], B, SHARED), ([A], C, SHARED), ([B], D, SHARED)],
        [False, True, False, True],
    ),
    "the caller's memory counts": (
        [([A], CALLERS, SHARED), ([CALLERS], B, SHARED)], [False, True]
    ),
}  # fmt: skip


@pytest.mark.parametrize(("kernels", "meets"), CASES.values(), ids=CASES)
def test_threads_meet_where_they_must_and_nowhere_else(kernels, meets):
    codes = [kernel(f"k{n}", *one) for n, one in enumerate(kernels)]
    assert barriers(plan_of(*codes)) == meets


def test_memory_that_two_buffers_share_counts():
    codes = [kernel("k0", [A], B, SHARED), kernel("k1", [C], D, SHARED)]
    assert barriers(plan_of(*codes)) == [False, False]
    # D lies where A was, whose last reader may still run; then only in part
    assert barriers(plan_of(*codes, offsets=(0, 64, 128, 0))) == [False, True]
    assert barriers(plan_of(*codes, offsets=(0, 64, 128, 60))) == [False, True]
    assert barriers(plan_of(*codes, offsets=(0, 128, 192, 64))) == [False, False]


def test_a_kernel_that_repeats_another_runs_on_its_own_storages():
    first = kernel("k0", [A], B, SHARED)
    after, beside = first.on("k1", {A: B, B: C}), first.on("k2", {A: A, B: D})
    assert barriers(plan_of(first, after)) == [False, True]
    assert barriers(plan_of(first, beside)) == [False, False]
