"""What is seen while a cluster measures: a line per machine on a terminal, else one per trial."""

import time
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.table import Table

from harness import units
from harness.records.models import Planned, Trial
from harness.run.progress import duration, trial_line

REFRESH_S = 1.0


@dataclass
class Line:
    """A machine's: its name, what it does, how many of its blocks are done."""

    name: str
    doing: str = "waits"
    blocks: int = 0
    since: float = field(default_factory=time.monotonic)


class Progress:
    """Shows machines and records as they come; a context manager. total: blocks to be measured."""

    def __init__(self, total: int, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        self.lines: dict[str, Line] = {}
        self._total, self._done, self._begin = total, 0, time.monotonic()
        self._live: Live | None = None
        self._drawn = 0.0

    def __enter__(self) -> "Progress":
        if self.console.is_terminal:
            self._live = Live(console=self.console, auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live is not None:
            self._live.stop()

    def say(self, text: str, style: str | None = None) -> None:
        """One line that stays."""
        self.console.print(text, style=style, markup=False, soft_wrap=True)

    def joined(self, machine: str, name: str) -> None:
        """A machine takes part."""
        if machine not in self.lines:
            self.lines[machine] = Line(name)
            self.say(f"bench: machine {machine} ({name}) takes part.")

    def away(self, machine: str) -> None:
        """Its last worker has gone."""
        self.lines[machine].doing = "away"
        self.say(f"bench: machine {machine} ({self.lines[machine].name}) has gone.")

    def started(self, machine: str, trial: Planned) -> None:
        """An engine begins."""
        what = "warm-up" if trial.warmup else f"block {trial.block + 1}"
        self.lines[machine].doing = f"{what}, {trial.engine}"

    def finished(self, machine: str, trial: Trial) -> None:
        """A record has come home."""
        if self._live is None:
            line = f"{self._done}/{self._total} {machine} {trial_line(trial)}"
            self.say(line, None if trial.valid else "red")

    def block_done(self, machine: str, *, warmup: bool) -> None:
        """A machine has nothing to do."""
        self.lines[machine].doing = "waits"
        if not warmup:
            self.lines[machine].blocks += 1
            self._done += 1

    def block_s(self) -> float | None:
        """Seconds from one block to the next, of all machines together; None before the first."""
        return (time.monotonic() - self._begin) / self._done if self._done else None

    def draw(self) -> None:
        """Called often."""
        if self._live is None or time.monotonic() - self._drawn < REFRESH_S:
            return
        self._drawn = time.monotonic()
        table = Table(box=None, pad_edge=False, show_header=False)
        for machine, line in self.lines.items():
            done = units.counted(line.blocks, "block")
            table.add_row(machine, line.name, f"{done} done", line.doing)
        each = self.block_s()
        left = "" if each is None else f", {duration(each * (self._total - self._done))} left"
        table.add_row("", "", f"{self._done} of {self._total}{left}", "")
        self._live.update(table, refresh=True)
