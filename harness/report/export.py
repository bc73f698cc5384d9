"""A run in the formats of other tools. Each exporter takes the analysis and returns JSON data.

Only valid trials are exported: none of these formats has a place for a failed one.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from harness.analysis.analysis import Analysis, one_machine
from harness.analysis.metrics import METRICS, Metric
from harness.analysis.target import Reach, to_target
from harness.errors import NothingMeasuredError
from harness.records.models import Trial

PROCESSES = ("train", "test")
TO_TARGET = "target_wall_s"  # seconds from the start of training to the workload's target
BATCH = 900  # MLflow takes 1,000 entities in one request; parameters and tags count too
LONGEST_PARAMETER = 500  # characters that every MLflow back end can hold


def export(analysis: Analysis, form: str) -> Any:
    """The run in one of FORMATS. Raises: NothingMeasuredError without a valid trial."""
    if not analysis.run.valid():
        raise NothingMeasuredError(f"{analysis.run.folder}: no trial is valid, nothing to export.")
    return FORMATS[form](one_machine(analysis, "export"))


def pyperf(analysis: Analysis) -> dict[str, Any]:
    """A pyperf suite: one benchmark per engine and metric, one run per trial, one value each.

    pyperf knows seconds, bytes and integers: what it has no unit for (a share) is left out.
    """
    cpu = analysis.run.manifest.host.get("cpu")
    dates = {(trial.engine, trial.block): _local(trial.at) for trial in analysis.run.valid()}
    return {
        "version": "1.0",
        "metadata": {"cpu_model_name": cpu} if cpu else {},  # pyperf refuses empty texts
        "benchmarks": [
            {
                "metadata": {
                    "name": f"{name}: {metric.key}",
                    "unit": metric.quantity.pyperf,
                    "loops": 1,
                },
                "runs": [
                    # without a duration pyperf would add up the values, bytes too
                    {
                        "metadata": {"date": _local(t.at), "duration": t.total_wall_s},
                        "values": [value],
                    }
                    for t, value in _values(analysis, name, metric)
                    if value > 0
                ],
            }
            for name, metric in _pairs(analysis)
            if metric.quantity.pyperf
        ]
        + [
            {
                "metadata": {"name": f"{name}: {TO_TARGET}", "unit": "second", "loops": 1},
                "runs": [
                    {
                        "metadata": {"date": dates[name, c.block], "duration": c.to_target_s},
                        "values": [c.to_target_s],
                    }
                    for c in reach.courses
                ],
            }
            for name, reach in _all_there(analysis).items()
        ],
    }


def _local(moment: str) -> str:
    """A time as pyperf writes it: without a zone."""
    return datetime.fromisoformat(moment).replace(tzinfo=None).isoformat()


def hyperfine(analysis: Analysis) -> dict[str, Any]:
    """hyperfine's --export-json: one result per engine and process, `command` being its name."""
    return {
        "results": [
            _hyperfine_result(analysis, name, process)
            for name in analysis.engines
            for process in PROCESSES
            if analysis.summary(name, f"{process}_wall_s").n
        ]
    }


def _hyperfine_result(analysis: Analysis, name: str, process: str) -> dict[str, Any]:
    summary = analysis.summary(name, f"{process}_wall_s")
    results = [getattr(trial, process) for trial in _trials(analysis, name)]
    users = [result.user_s for result in results if result.user_s is not None]
    systems = [result.system_s for result in results if result.system_s is not None]
    peaks = [result.peak_rss.bytes for result in results if result.peak_rss is not None]
    return {
        "command": f"{name} {process}",
        "mean": summary.mean,
        "stddev": summary.sd,
        "median": summary.median,
        "user": sum(users) / len(users) if users else 0.0,
        "system": sum(systems) / len(systems) if systems else 0.0,
        "min": summary.min,
        "max": summary.max,
        "times": list(summary.values),
        "memory_usage_byte": peaks,
        "exit_codes": [result.exit_code or 0 for result in results],
    }


def bencher(analysis: Analysis) -> dict[str, Any]:
    """Bencher Metric Format: benchmark -> measure -> value with its interval.

    Measures are named by the metric's key with hyphens, as Bencher's slugs are.
    """
    document: dict[str, Any] = {name: {} for name in analysis.engines}
    for name, metric in _pairs(analysis):
        summary = analysis.summary(name, metric.key)
        if summary.mean is None:
            continue
        measure = {"value": summary.mean}
        if summary.mean_interval is not None:
            measure["lower_value"], measure["upper_value"] = summary.mean_interval
        document[name][metric.key.replace("_", "-")] = measure
    for name, reach in _all_there(analysis).items():
        ends = {"lower_value": min(reach.times()), "upper_value": max(reach.times())}
        document[name][TO_TARGET.replace("_", "-")] = {"value": reach.median_s(), **ends}
    return {name: measures for name, measures in document.items() if measures}


def github_action_benchmark(analysis: Analysis) -> list[dict[str, Any]]:
    """Input of github-action-benchmark's `customSmallerIsBetter`.

    Smaller is better for every entry: accuracy is exported as error, in per cent.
    """
    entries = []
    for name, metric in _pairs(analysis):
        summary = analysis.summary(name, metric.key)
        if summary.mean is None:
            continue
        quantity, mean, sd = metric.quantity, summary.mean, summary.sd or 0.0
        if quantity.is_share:
            mean, sd = quantity.scale * (1 - mean), quantity.scale * sd
        entries.append(
            {
                "name": f"{name}: {'error' if quantity.is_share else metric.key}",
                "unit": quantity.unit,
                "value": mean,
                "range": f"± {sd:.6g}",
                "extra": f"{summary.n} repeats, run {analysis.run.manifest.run}",
            }
        )
    entries += [
        {
            "name": f"{name}: {TO_TARGET}",
            "unit": "seconds",
            "value": reach.median_s(),
            "range": f"{min(reach.times()):.6g} to {max(reach.times()):.6g}",
            "extra": f"{len(reach.courses)} repeats, run {analysis.run.manifest.run}",
        }
        for name, reach in _all_there(analysis).items()
    ]
    return entries


def mlflow(analysis: Analysis) -> list[dict[str, Any]]:
    """MLflow REST requests, one entry per measured engine; a block is a step.

    `create` is the body of runs/create, `log_batch` those of runs/log-batch, each below the limit
    of a request.
    """
    manifest = analysis.run.manifest
    entries, reached = [], _all_there(analysis)
    for name in analysis.engines:
        at = {trial.block: _epoch_ms(trial.at) for trial in _trials(analysis, name)}
        metrics = [
            {"key": metric.key, "value": value, "timestamp": _epoch_ms(t.at), "step": t.block}
            for metric in METRICS
            for t, value in _values(analysis, name, metric)
        ]
        if not metrics:
            continue
        courses = reached[name].courses if name in reached else ()
        metrics += [
            {"key": TO_TARGET, "value": c.to_target_s, "timestamp": at[c.block], "step": c.block}
            for c in courses
        ]
        tags = [{"key": "engine", "value": name}, {"key": "preset", "value": manifest.preset}]
        entries.append(
            {
                "create": {
                    "run_name": f"{manifest.run} {name}",
                    "start_time": _epoch_ms(manifest.created),
                    "tags": tags,
                },
                "log_batch": [
                    {
                        "metrics": metrics[begin : begin + BATCH],
                        "params": _parameters(manifest.workload["training"]) if not begin else [],
                    }
                    for begin in range(0, len(metrics), BATCH)
                ],
            }
        )
    return entries


def _parameters(settings: dict[str, Any]) -> list[dict[str, str]]:
    return [{"key": k, "value": str(v)[:LONGEST_PARAMETER]} for k, v in settings.items()]


def _epoch_ms(moment: str) -> int:
    return round(datetime.fromisoformat(moment).timestamp() * 1000)


def _all_there(analysis: Analysis) -> dict[str, Reach]:
    """The engines all of whose trials have reached the run's target: no format here has a place for
    a censored time."""
    found = to_target(analysis)
    reaches = found.reaches if found else ()
    return {r.engine: r for r in reaches if r.courses and r.reached == len(r.courses)}


def _pairs(analysis: Analysis) -> list[tuple[str, Metric]]:
    """Every engine and metric with at least one value."""
    return [
        (name, metric)
        for name in analysis.engines
        for metric in METRICS
        if analysis.summary(name, metric.key).n
    ]


def _trials(analysis: Analysis, name: str) -> list[Trial]:
    trials = (t for t in analysis.run.valid() if t.engine == name)
    return sorted(trials, key=lambda t: t.block)


def _values(analysis: Analysis, name: str, metric: Metric) -> list[tuple[Trial, float]]:
    return [(t, v) for t in _trials(analysis, name) if (v := metric.read(t)) is not None]


FORMATS: dict[str, Callable[[Analysis], Any]] = {
    "pyperf": pyperf,
    "hyperfine": hyperfine,
    "bencher": bencher,
    "github-action-benchmark": github_action_benchmark,
    "mlflow": mlflow,
}
