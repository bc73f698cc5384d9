"""Operations of a profile: the classes that engines and harness both speak, and own times.

An engine maps the names of its profiler to these classes in one table beside it, and reports what
it does not know as "unattributed". Loaded by engines that are asked for a profile, and by no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

CONVOLUTION, MATMUL, POOLING = "convolution", "matrix product", "pooling"
ACTIVATION, NORMALISATION, LOSS = "activation", "normalisation", "loss"
OPTIMIZER, MOVEMENT = "optimizer", "data movement"
DISPATCH, UNATTRIBUTED = "dispatch", "unattributed"
CLASSES = (
    CONVOLUTION, MATMUL, POOLING, ACTIVATION, NORMALISATION, LOSS, OPTIMIZER, MOVEMENT, DISPATCH,
    UNATTRIBUTED,
)  # fmt: skip
FORWARD, INPUT_GRADIENT, KERNEL_GRADIENT, UPDATE = (
    "forward", "input gradient", "kernel gradient", "update",
)  # fmt: skip
PASSES = (FORWARD, INPUT_GRADIENT, KERNEL_GRADIENT, UPDATE)
# What a layer's operations are that have no class of their own: those of every layer (its bias, the
# gradient of that) and what an engine names by the layer alone.
LAYER_CLASSES = {
    "conv2d": CONVOLUTION,
    "dense": MATMUL,
    "max_pooling2d": POOLING,
    "average_pooling2d": POOLING,
    "flatten": MOVEMENT,
    "dropout": ACTIVATION,
    "activation": ACTIVATION,
}
MOST_SLICES = 2000  # of all operations of an engine; a part of the epoch is enough to look at


class Op(NamedTuple):
    """What was done: the engine's own name, the class, the pass and the layer's index, if known."""

    name: str
    kind: str
    part: str | None = None
    layer: int | None = None


class Span(NamedTuple):
    """An operation that ran from `start` to `end`, in seconds, on one thread (`track`)."""

    op: Op
    start: float
    end: float
    track: Any = 0


BETWEEN = Op("between operations", DISPATCH)


class Tally:
    """Calls and own seconds by operation, and when some of it ran: what `Report.ops` takes."""

    def __init__(self) -> None:
        self._found: dict[Op, dict[str, Any]] = {}
        self._slices = 0

    def add(self, op: Op, seconds: float, calls: int = 0, start: float | None = None) -> None:
        """Count `seconds` of an operation; `start`, where they lie in the epoch, may be known."""
        entry = self._found.setdefault(op, {"calls": 0, "seconds": 0.0, "slices": []})
        entry["calls"] += calls
        entry["seconds"] += seconds
        if start is not None and self._slices < MOST_SLICES:
            self._slices += 1
            entry["slices"].append((start, seconds))

    def ops(self) -> Iterator[dict[str, Any]]:
        """One dictionary per operation, the arguments of `Report.ops`."""
        for op, entry in self._found.items():
            yield {**op._asdict(), **entry}


def own_times(spans: Iterable[Span], begin: float, end: float) -> Tally:
    """Each instant from `begin` to `end` given to the operation that ran, so that the sum closes.

    Of nested spans of a thread the innermost counts. Where several threads work at once an instant
    is shared among them equally; a thread that only dispatches, or waits in what it dispatched,
    has a share only where nobody works. Instants without any span count as dispatch.
    """
    tally = Tally()
    tracks: dict[Any, list[Span]] = {}
    for span in spans:
        if span.end > begin and span.start < end:
            cut = span._replace(start=max(span.start, begin), end=min(span.end, end))
            tracks.setdefault(span.track, []).append(cut)
            tally.add(span.op, 0.0, calls=1)
    events = []
    for track, own in tracks.items():
        for op, start, stop in _innermost(own):
            events += [(start, 1, track, op), (stop, 0, track, op)]
    events.sort(key=lambda event: event[:2])
    active: dict[Any, Op] = {}
    now = begin
    for time, starts, track, op in events:
        _share(tally, active, now, time, begin)
        now = time
        if starts:
            active[track] = op
        elif active.get(track) == op:
            del active[track]
    _share(tally, active, now, end, begin)
    return tally


def _share(tally: Tally, active: dict[Any, Op], start: float, end: float, begin: float) -> None:
    if end <= start:
        return
    working = [op for op in active.values() if op.kind != DISPATCH]
    ops = working or list(active.values())[:1] or [BETWEEN]
    for op in ops:
        first = start - begin if op is ops[0] else None  # one operation at a time on a track
        tally.add(op, (end - start) / len(ops), start=first)


def _innermost(spans: list[Span]) -> Iterator[tuple[Op, float, float]]:
    """Pieces of one thread's time without overlaps, each of the innermost span there."""
    stack: list[Span] = []
    now = 0.0
    for span in [*sorted(spans, key=lambda s: (s.start, -s.end)), None]:
        start = span.start if span is not None else float("inf")
        while stack and stack[-1].end <= start:
            top = stack.pop()
            if top.end > now:
                yield top.op, now, top.end
                now = top.end
        if span is None:
            return
        if stack and span.start > now:
            yield stack[-1].op, now, span.start
        now = max(now, span.start)
        stack.append(span)


def nearest(
    start: str, neighbours: Mapping[str, Iterable[str]], label: Callable[[str], Any]
) -> Any:
    """The first label met when going from neighbour to neighbour, in steps; None without one.

    For operations that a compiler has left without a name: those that use them have one.
    """
    seen, front = {start}, [start]
    while front:
        following = []
        for name in front:
            if (found := label(name)) is not None:
                return found
            following += [other for other in neighbours.get(name, ()) if other not in seen]
            seen.update(following)
        front = following
    return None
