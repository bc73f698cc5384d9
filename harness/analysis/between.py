"""How much runs of one thing differ from each other, by themselves: known from repeated runs.

A machine has other neighbours, another temperature and other memory pages tomorrow: the means of
two runs of the same program differ by more than their blocks tell. How much more is seen only in
runs that were repeated: same machine, same work, same files, versions and packages.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from harness.records.sameness import unlike
from harness.records.store import Run


@dataclass(frozen=True)
class RunToRun:
    """The spread of the means of repeated runs, on the log scale.

    sd: of one run's mean, with all that is in it: 0.01 is about one per cent. runs: how many there
    are, in groups that differ in nothing. degrees: runs less groups; None where the spread was
    stated by the user and not measured.
    """

    sd: float
    runs: int
    degrees: int | None


def repeated(runs: Sequence[Run], like: Run) -> list[list[Run]]:
    """Groups of two or more runs that repeat each other, on the machine and at the work of `like`.

    A run found twice, by two ways to its folder, is one.
    """
    groups: list[list[Run]] = []
    seen = set()
    for run in runs:
        place = run.folder.resolve()
        if place in seen or run.pending_blocks():
            continue
        seen.add(place)
        if unlike(like.manifest, run.manifest, "compare"):
            continue
        for group in groups:
            if not unlike(group[0].manifest, run.manifest, "note"):
                group.append(run)
                break
        else:
            groups.append([run])
    return [group for group in groups if len(group) > 1]


def run_to_run(
    groups: Sequence[Sequence[Run]], logs: Callable[[Run], np.ndarray]
) -> RunToRun | None:
    """The pooled spread of the runs' means within their groups; None without repeated runs.

    logs: the logarithms of one run's values; a run without any has no part.
    """
    squares, degrees, count = 0.0, 0, 0
    for group in groups:
        means = [float(values.mean()) for run in group if len(values := logs(run))]
        if len(means) > 1:
            squares += float(np.var(means) * len(means))
            degrees += len(means) - 1
            count += len(means)
    return RunToRun(math.sqrt(squares / degrees), count, degrees) if degrees else None
