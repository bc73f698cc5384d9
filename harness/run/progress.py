"""What is seen while a run goes on: on a terminal a live table and a bar, else one line per trial.

Everything goes to standard error; standard output is for programs.
"""

import time
from collections.abc import Callable, Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from harness import units
from harness.analysis.metrics import LINE
from harness.records.models import Planned, Point, PointKey, Trial
from harness.records.store import Run
from harness.safe.text import one_line

REFRESH_S = 2.0  # drawing takes CPU time that a trial could notice

# The tables of a run so far, for a terminal of so many columns. Handed in from above: making
# them needs pandas and SciPy, which a run on no terminal never loads.
Tables = Callable[[Run, int], Sequence[RenderableType]]


class Clock:
    """Estimates the time left from the blocks done; trials of one block are unlike each other."""

    def __init__(self, planned: list[Planned]) -> None:
        self._left = planned
        self._begin: dict[tuple[bool, int], float] = {}
        self._durations: list[float] = []

    def started(self, trial: Planned) -> None:
        """A trial begins."""
        self._begin.setdefault((trial.warmup, trial.block), time.monotonic())

    def finished(self, trial: Planned) -> None:
        """A trial has ended; the last one of a block completes it."""
        key = (trial.warmup, trial.block)
        self._left = [planned for planned in self._left if planned.id != trial.id]
        last = all((planned.warmup, planned.block) != key for planned in self._left)
        if last and not trial.warmup:
            self._durations.append(time.monotonic() - self._begin[key])

    def block_s(self) -> float | None:
        """Mean seconds of a block so far; None before the first is done."""
        return sum(self._durations) / len(self._durations) if self._durations else None

    def left_s(self) -> float | None:
        """Seconds that the measured blocks still need; None before the first is done."""
        block_s = self.block_s()
        if block_s is None:
            return None
        blocks = {planned.block for planned in self._left if not planned.warmup}
        begun = [self._begin[False, block] for block in blocks if (False, block) in self._begin]
        spent = sum(min(time.monotonic() - begin, block_s) for begin in begun)
        return max(block_s * len(blocks) - spent, 0.0)


class Display:
    """Shows the trials of a run as they come. A context manager; `run` grows while it is shown.

    tables: what stands above the bar on a terminal after each block's trial; nothing by default.
    """

    def __init__(
        self,
        run: Run,
        planned: list[Planned],
        console: Console | None = None,
        tables: Tables | None = None,
    ) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        self.clock = Clock(planned)
        self._tables = tables
        self._run, self._done, self._total = run, 0, len(planned)
        self._bar = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.description}"),
            console=self.console,
        )
        self._task = self._bar.add_task("", total=self._total)
        self._live: Live | None = None
        self._drawn = 0.0
        self._current: Planned | None = None

    def __enter__(self) -> "Display":
        if self.console.is_terminal:
            self._live = Live(self._bar, console=self.console, auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live is not None:
            self._live.stop()

    def started(self, trial: Planned) -> None:
        """A trial begins."""
        self.clock.started(trial)
        self._current = trial
        self._draw()

    def tick(self) -> None:
        """Called often while a trial runs; redraws every REFRESH_S, on a terminal only."""
        if self._live is not None and time.monotonic() - self._drawn >= REFRESH_S:
            self._draw()

    def _draw(self) -> None:
        trial, left = self._current, self.clock.left_s()
        if self._live is None or trial is None:
            return
        what = "warm-up" if trial.warmup else f"block {trial.block + 1}"
        remaining = "" if left is None else f", {duration(left)} left"
        self._bar.update(self._task, description=f"{what}, {trial.engine}{remaining}")
        self._live.refresh()
        self._drawn = time.monotonic()

    def finished(self, trial: Trial) -> None:
        """A trial has ended: its line, and on a terminal the table with it."""
        self.clock.finished(trial)
        self._done += 1
        line = f"{self._done}/{self._total} {trial_line(trial)}"
        left = self.clock.left_s()
        if self._live is None and left is not None and self._done < self._total:
            line += f" ({duration(left)} left)"
        style = None if trial.valid else "red"
        self.console.print(one_line(line), style=style, markup=False, soft_wrap=True)
        self._bar.update(self._task, completed=self._done)
        if self._live is not None and not trial.warmup:
            tables = self._tables(self._run, self.console.width) if self._tables else ()
            self._live.update(Group(*tables, self._bar))

    def accuracies_begin(self, count: int) -> None:
        """The blocks are done: from here on that many accuracies are found, and nothing timed."""
        self._done, self._total = 0, count
        self._current = None
        self._bar.update(self._task, completed=0, total=count)

    def point_started(self, key: PointKey, left_s: float) -> None:
        """An engine is trained and tested outside of the blocks; `left_s` until all are done."""
        what = f"not timed: seed {key.seed}, {key.engine}, {units.counted(key.epoch, 'epoch')}"
        self._bar.update(self._task, description=f"{what}, {duration(left_s)} left")
        if self._live is not None:
            self._live.refresh()

    def point_finished(self, point: Point) -> None:
        """Its line."""
        self._done += 1
        self._bar.update(self._task, completed=self._done)
        line = f"{self._done}/{self._total} {point_line(point)}"
        style = "red" if point.failure else None
        self.console.print(one_line(line), style=style, markup=False, soft_wrap=True)


def point_line(point: Point) -> str:
    """An accuracy in one line: "not timed: seed 7 myad, 2 epochs: accuracy 90.12 %"."""
    what = f"not timed: seed {point.seed} {point.engine}, {units.counted(point.epoch, 'epoch')}"
    return f"{what}: {point.failure or f'accuracy {units.percent(point.accuracy)}'}"


def trial_line(trial: Trial) -> str:
    """A finished trial in one line: "block 2 myad: train 0.41 s, test 0.10 s, ..."."""
    head = f"{'warm-up' if trial.warmup else 'block'} {trial.block + 1} {trial.engine}"
    if not trial.valid:
        return f"{head}: {trial.failure or 'interrupted'}"
    texts = [f"{word} {metric.text(metric.read(trial))}" for word, metric in LINE]
    return f"{head}: {', '.join(texts)}{', disturbed' if trial.disturbed else ''}"


def duration(seconds: float) -> str:
    """Seconds as people say them: "3 min 20 s"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
