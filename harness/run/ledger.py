"""A run's folder while it grows: records are appended, and the run in memory follows."""

import bisect
import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from harness.errors import BenchError
from harness.records import store
from harness.records.models import Ended, Machine, Planned, Point, Trial
from harness.records.store import Run
from harness.trial.trial import record


class StorageError(BenchError):
    """The run's folder cannot be written any more."""


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Say which folder could not be written, and that nothing measured is lost."""
    try:
        yield
    except OSError as error:
        place = error.filename or folder
        raise StorageError(
            f"{place}: {error.strerror or error}. The run stops here; what was recorded is kept, "
            "and `bench run --resume` goes on once the folder can be written."
        ) from error


class Ledger:
    """The only writer of a run's records.

    lean: keep no processes' figures in memory, which ten thousand blocks would fill.
    """

    def __init__(self, run: Run, *, lean: bool = False) -> None:
        self.run = run
        self._lean = lean
        self._order = {planned.id: n for n, planned in enumerate(run.manifest.schedule)}
        self._measured: dict[int, list[str]] = {}
        for planned in run.manifest.schedule:
            if not planned.warmup:
                self._measured.setdefault(planned.block, []).append(planned.id)
        if lean:
            run.trials = [_lean(trial) for trial in run.trials]
        self._places = {trial.key: trial for trial in run.trials}

    def write(self, *trials: Trial) -> None:
        """Append records of trials, all of them or none. Raises: StorageError."""
        with writing(self.run.folder):
            store.append(self.run.folder, *trials)
        for trial in trials:
            self._note(_lean(trial) if self._lean else trial)

    def found(self, point: Point) -> None:
        """Append an accuracy found after the blocks. Raises: StorageError."""
        with writing(self.run.folder):
            store.append(self.run.folder, point)
        self.run.points.append(point)

    def joined(self, machine: Machine) -> None:
        """Tell of a machine, once. Raises: StorageError."""
        if machine.id in self.run.machines:
            return
        with writing(self.run.folder):
            store.append(self.run.folder, machine)
        self.run.machines[machine.id] = machine

    def end(self, blocks: int, reason: str) -> None:
        """The run ends by its rule after so many blocks. Raises: StorageError."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        ended = Ended(blocks=blocks, reason=reason, at=now)
        with writing(self.run.folder):
            store.append(self.run.folder, ended)
        self.run.ended = ended

    def state(self, planned: Planned, machine: str = "") -> str:
        """The last recorded state of a trial, "" without a record."""
        known = self._places.get((planned.id, machine if planned.warmup else ""))
        return known.state if known is not None else ""

    def close_interrupted(self) -> None:
        """Trials that a killed harness left as "started" are recorded as interrupted, once."""
        open_ = [trial for trial in self.run.trials if trial.state == "started"]
        self.write(*(record(trial, "interrupted", trial.machine) for trial in open_))

    def withdraw(self, block: int) -> None:
        """A block begins anew: what has finished of it counts no more."""
        self.write(
            *(
                record(trial, "withdrawn", trial.machine)
                for trial in self.run.trials
                if trial.block == block and not trial.warmup and trial.state == "finished"
            )
        )

    def begun(self) -> dict[int, str]:
        """Measured blocks of which some trials have finished and some not: the machine of each."""
        left = {planned.block for planned in self.run.pending() if not planned.warmup}
        return {
            trial.block: trial.machine
            for trial in self.run.trials
            if trial.state == "finished" and not trial.warmup and trial.block in left
        }

    def begun_on(self, block: int) -> str:
        """The machine that has finished a trial of a measured block, "" if none has."""
        for name in self._measured.get(block, ()):
            known = self._places.get((name, ""))
            if known is not None and known.state == "finished":
                return known.machine
        return ""

    def _note(self, trial: Trial) -> None:
        """Keep the run in memory as a reader of its files would see it."""
        trials = self.run.trials
        place = bisect.bisect_left(trials, self._order[trial.id], key=self._rank)
        while place < len(trials) and trials[place].id == trial.id:
            if trials[place].key == trial.key:
                trials[place] = trial
                break
            place += 1
        else:
            trials.insert(place, trial)
        self._places[trial.key] = trial

    def _rank(self, trial: Planned) -> int:
        return self._order[trial.id]


def _lean(trial: Trial) -> Trial:
    return trial.model_copy(update={"train": None, "test": None})
