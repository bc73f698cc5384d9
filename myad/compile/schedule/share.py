"""Which loop of a kernel threads share."""

from __future__ import annotations

from myad.compile.kernels.index import Axis
from myad.compile.kernels.kernel import Kernel
from myad.compile.schedule.schedule import Schedule

WORTH = 40_000.0  # modelled cost, some 7 us, of a kernel that pays for waiting on one another
ENOUGH = 8  # parts that can be dealt out evenly to a few threads


def set_shared(kernel: Kernel, schedule: Schedule, cost: float) -> None:
    """Choose the loop whose turns are dealt out: the outermost with enough of them.

    Only loops over outputs: whoever runs a turn, it computes the same numbers in the same order, so
    any number of threads gives the same bits. The choice does not depend on their number.
    """
    zeroed = kernel.output.kind == "result" and kernel.output.fill is not None
    if cost < WORTH or zeroed:  # zeros come first, and all of them: one thread's
        return
    best, most = None, 1
    seen: set[Axis] = set()
    for level, (axis, step) in enumerate(schedule.order):
        if axis in kernel.reduced or axis in seen:
            continue
        seen.add(axis)
        turns = -(-axis.size // step)
        if turns > most:
            best, most = level, turns
        if most >= ENOUGH:
            break
    schedule.shared = best
