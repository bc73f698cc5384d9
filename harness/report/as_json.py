"""The report as one JSON document, for programs; `docs/report.md` describes every key.

Intervals are pairs, which JSON writes as lists.
"""

from dataclasses import asdict
from typing import Any

from harness.analysis.analysis import Analysis, Comparison
from harness.analysis.metrics import METRICS
from harness.analysis.target import to_target
from harness.report.frames import STATISTICS


def report_document(analysis: Analysis) -> dict[str, Any]:
    """Everything known of the run, unrounded; what could not be had is null."""
    manifest = analysis.run.manifest
    return {
        "run": manifest.run,
        "preset": manifest.preset,
        "blocks": {"planned": manifest.repeats, "valid": analysis.valid_blocks},
        **_parts(analysis),
        "machines": {
            name: {"host": part.run.manifest.host, **_parts(part)}
            for name, part in analysis.machines.items()
        },
        "across": {
            f"{a}/{b}": {key: asdict(line) if line else None for key, line in row.items()}
            for (a, b), row in analysis.across.items()
        },
        **_target(analysis),
        "seeds": {
            "spread": [row.document() for row in analysis.spreads],
            "values": [asdict(one) for one in analysis.found] if analysis.spreads else [],
        },
    }


def _target(analysis: Analysis) -> dict[str, Any]:
    """Of a run whose workload has one."""
    found = to_target(analysis)
    return {} if found is None else {"target": found.document()}


def _parts(analysis: Analysis) -> dict[str, Any]:
    """What is known of one machine's engines; of a run of several, what is of none."""
    return {
        "engines": {name: _engine(analysis, name) for name in analysis.engines},
        "ratios": {f"{a}/{b}": _pair(analysis, a, b) for a, b in analysis.comparisons},
    }


def _engine(analysis: Analysis, name: str) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for metric in METRICS:
        summary = analysis.summary(name, metric.key)
        document[metric.key] = {key: getattr(summary, key) for key in (*STATISTICS, "values")}
    return {**document, "failed": len(analysis.failures[name])}


def _pair(analysis: Analysis, a: str, b: str) -> dict[str, Any]:
    cells = analysis.comparisons[a, b]
    predictions = [asdict(found) for found in analysis.agreements[a, b]]
    return {
        **{key: _comparison(cell) for key, cell in cells.items()},
        "accuracy": {**asdict(analysis.accuracies[a, b]), "predictions": predictions},
    }


def _comparison(cell: Comparison) -> dict[str, Any]:
    """A ratio that is no result (`withheld` says why) has no numbers, so nobody can quote one."""
    ratio, shown = cell.ratio, not cell.withheld
    return {
        "n": ratio.n,
        "ratio": ratio.ratio if shown else None,
        "interval": ratio.interval if shown else None,
        "t_interval": ratio.t_interval if shown else None,
        "bca_interval": ratio.bca_interval if shown else None,
        "p": ratio.p if shown else None,
        "p_holm": cell.p_holm if shown else None,
        "p_floor": ratio.p_floor,
        "half_width": ratio.half_width if shown else None,
        "n_for_one_percent": ratio.n_for_one_percent,
        "verdict": cell.verdict,
        "withheld": cell.withheld or None,
    }
