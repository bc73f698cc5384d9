"""One run per value of a setting, or per combination of values of several settings.

results/<sweep>/sweep.json     the settings and their values, and the first point's manifest
results/<sweep>/<point>/       a run like any other
results/<sweep>/report/        made from the runs alone
"""

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from harness.errors import BenchError, UsageError
from harness.records.manifest import Manifest
from harness.records.sameness import in_short, unlike
from harness.records.store import MANIFEST, read_run
from harness.run import loop as runner
from harness.run.crew import Crew
from harness.run.options import RunOptions, check_run_name
from harness.run.plan import new_plan
from harness.run.progress import Tables
from harness.safe import files
from harness.safe.text import one_line
from harness.trial.engines import able, choose, find
from harness.workload.format import WorkloadError, load

DEFINITION = "sweep.json"
DEFINITION_CAP = 1 << 28  # bytes; it holds a manifest
MOST_POINTS = 200


@dataclass(frozen=True)
class Combination:
    """One combination: the run's name and setting -> value, as texts."""

    name: str
    values: dict[str, str]

    @property
    def settings(self) -> tuple[str, ...]:
        """As `bench run --set` takes them."""
        return tuple(f"{key}={value}" for key, value in self.values.items())


def parse_axes(texts: Sequence[str]) -> dict[str, list[str]]:
    """Setting -> values, from texts such as "training.batch_size=1,8,32".

    A comma inside brackets belongs to a value: "model.layers.0.kernel_size=[3,3],[5,5]".
    Raises: UsageError for a text without values, a repeated setting or a repeated value.
    """
    axes: dict[str, list[str]] = {}
    for text in texts:
        key, equals, values = text.partition("=")
        key, found = key.strip(), _split(values)
        if not equals or not key or not all(found):
            raise UsageError(f"--set {text}: expected setting=value,value, such as epochs=1,3.")
        if key in axes:
            raise UsageError(f"--set {key}: given twice; write its values behind one --set.")
        if len(set(found)) < len(found):
            raise UsageError(f"--set {text}: a value is given twice.")
        axes[key] = found
    if not axes:
        raise UsageError("sweep: give at least one --set with values to go through.")
    return axes


def _split(text: str) -> list[str]:
    values, depth = [""], 0
    for letter in text:
        depth += (letter in "[{") - (letter in "]}")
        if letter == "," and depth == 0:
            values.append("")
        else:
            values[-1] += letter
    return [value.strip() for value in values]


def points(axes: dict[str, list[str]]) -> list[Combination]:
    """Every combination, the last setting changing fastest. Raises: UsageError above 200."""
    count = math.prod(map(len, axes.values()))
    if count > MOST_POINTS:
        raise UsageError(f"sweep: {count} runs, allowed are {MOST_POINTS}.")
    combinations = [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]
    width = len(str(len(combinations)))
    return [
        Combination(f"{number:0{width}d}-{_slug(values)}"[:64], values)
        for number, values in enumerate(combinations, start=1)
    ]


def _slug(values: dict[str, str]) -> str:
    """A readable folder name: the last part of each setting with its value."""
    text = "-".join(f"{key.rpartition('.')[2]}-{value}" for key, value in values.items())
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text)


def carry_out(
    options: RunOptions,
    axes: dict[str, list[str]],
    *,
    resume: bool,
    announce: Callable[[str], None],
    tables: Tables | None = None,
    crew: Crew | None = None,
) -> tuple[Path, int]:
    """Run every point that is not complete; returns the sweep's folder and an exit code.

    Args:
        options: of every run; `name` is the sweep's, `settings` are the same in every run.
        axes: setting -> values. resume: go on with an existing sweep.
        announce: told of every point before it begins.
        tables: what a terminal shows of a run so far. crew: who measures, see `run.loop.start`.
    Raises: UsageError before anything is written if a point is no workload, an engine unknown, or
        the sweep was started with other engines, repeats, seeds or anything else.
    """
    plan = points(axes)
    _check(options, plan)
    chosen = choose(options.engines, options.commands, find(folders=options.engine_paths))
    options = replace(options, engines=",".join(engine.name for engine in able(chosen)))
    folder = options.results / (options.name or _default_name(axes))
    check_run_name(folder.name)
    _open(folder, axes, _planned(options, plan[0]), resume)
    codes = []
    for number, point in enumerate(plan, start=1):
        announce(f"point {number} of {len(plan)}: {', '.join(point.settings)}")
        try:
            codes.append(_run_point(options, folder, point, tables, crew))
        except BenchError:
            _forget_if_empty(folder)
            raise
        if codes[-1] == runner.INTERRUPTED:
            break
    return folder, _exit_code(codes)


def _forget_if_empty(folder: Path) -> None:
    """A sweep whose first run could not even begin leaves nothing behind."""
    if [path.name for path in folder.iterdir()] == [DEFINITION]:
        (folder / DEFINITION).unlink()
        folder.rmdir()


def _check(options: RunOptions, plan: list[Combination]) -> None:
    for point in plan:
        try:
            load(options.preset, (*options.settings, *point.settings))
        except WorkloadError as error:
            raise UsageError(str(error)) from error


def _default_name(axes: dict[str, list[str]]) -> str:
    return "sweep-" + _slug({key: str(len(values)) for key, values in axes.items()})[:50]


def _planned(options: RunOptions, point: Combination) -> Manifest:
    """The manifest that a point would get now: all that its run would be started with."""
    return new_plan(_options_of(options, point)).manifest


def _options_of(options: RunOptions, point: Combination) -> RunOptions:
    return replace(options, name=point.name, settings=(*options.settings, *point.settings))


def _open(folder: Path, axes: dict[str, list[str]], first: Manifest, resume: bool) -> None:
    """Write the definition, or check that the existing one is the same."""
    path = folder / DEFINITION
    if folder.exists() and not resume:
        raise UsageError(f"{folder} exists; go on with --resume, or choose another --name.")
    if path.exists():
        known = read_axes(folder)
        if known != axes:
            raise UsageError(f"{path}: this sweep goes over {_told(known)}, not {_told(axes)}.")
        _check_same(path, first)
        return
    folder.mkdir(parents=True, exist_ok=True)
    definition = {"axes": axes, "first": first.model_dump(mode="json")}
    files.replace(path, (json.dumps(definition, indent=1) + "\n").encode())


def _check_same(path: Path, now: Manifest) -> None:
    """Refuse to go on with a sweep that was started otherwise. Raises: UsageError."""
    try:
        then = Manifest.model_validate(json.loads(files.read(path, DEFINITION_CAP))["first"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(
            f"{path}: does not say what the sweep was started with; start a new sweep."
        ) from error
    found = unlike(then, now, "continue")
    if found:
        raise UsageError(
            f"{path}: this sweep was started with something else: {in_short(found)}. Points "
            "measured now would not be comparable; give the same options, or choose another --name."
        )


def _told(axes: dict[str, list[str]]) -> str:
    return " ".join(f"{key}={','.join(values)}" for key, values in axes.items())


def _run_point(
    options: RunOptions,
    folder: Path,
    point: Combination,
    tables: Tables | None,
    crew: Crew | None,
) -> int:
    if not files.is_regular(folder / point.name / MANIFEST):
        ours = replace(_options_of(options, point), results=folder)
        return runner.start(ours, tables, crew).exit_code
    found = read_run(folder / point.name)
    if not found.pending_blocks():
        valid, finished = found.valid(), found.finished()
        return runner.DONE if len(valid) == len(finished) else runner.FAILED
    return runner.resume(
        folder,
        point.name,
        engine_paths=options.engine_paths,
        wait=options.wait,
        trust=options.trust,
        tables=tables,
        crew=crew,
    ).exit_code


def _exit_code(codes: list[int]) -> int:
    if runner.INTERRUPTED in codes:
        return runner.INTERRUPTED
    if all(code == runner.NOTHING_VALID for code in codes):
        return runner.NOTHING_VALID
    return runner.FAILED if any(codes) else runner.DONE


def read_axes(folder: Path) -> dict[str, list[str]]:
    """The settings and values of the sweep in `folder`. Raises: UsageError."""
    path = folder / DEFINITION
    try:
        axes = json.loads(files.read(path, DEFINITION_CAP))["axes"]
        found = {str(key): [str(value) for value in values] for key, values in axes.items()}
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"{path}: not the definition of a sweep ({error}).") from error
    texts = [*found, *(value for values in found.values() for value in values)]
    if not found or not all(found.values()) or any(one_line(text) != text for text in texts):
        raise UsageError(f"{path}: not the definition of a sweep (a setting or value is no text).")
    return found
