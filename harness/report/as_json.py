"""The report as one JSON document, for programs; `docs/report.md` describes every key."""

from dataclasses import asdict
from typing import Any

from harness.analysis.analysis import Analysis, Comparison
from harness.analysis.metrics import METRICS
from harness.stats import AccuracyDifference, Summary

SUMMARY_KEYS = ("n", "mean", "median", "sd", "min", "max")


def report_document(analysis: Analysis) -> dict[str, Any]:
    """Figures of the run, unrounded; what could not be had is null."""
    manifest = analysis.run.manifest
    return {
        "run": manifest.run,
        "preset": manifest.preset,
        "blocks": {"planned": manifest.repeats, "valid": analysis.valid_blocks},
        "engines": {name: _engine(analysis, name) for name in analysis.engines},
        "ratios": {
            f"{a}/{b}": {
                **{key: _comparison(cell) for key, cell in row.items()},
                "accuracy": {
                    **_accuracy(analysis.accuracies[a, b]),
                    "predictions": [asdict(found) for found in analysis.agreements[a, b]],
                },
            }
            for (a, b), row in analysis.comparisons.items()
        },
        "seeds": {
            "spread": [row.document() for row in analysis.spreads],
            "values": [asdict(one) for one in analysis.found] if analysis.spreads else [],
        },
    }


def _engine(analysis: Analysis, name: str) -> dict[str, Any]:
    document: dict[str, Any] = {m.key: _summary(analysis.figures(name, m.key)) for m in METRICS}
    document["failed"] = len(analysis.failures[name])
    return document


def _summary(figures: Summary) -> dict[str, Any]:
    return {**{key: getattr(figures, key) for key in SUMMARY_KEYS}, "values": list(figures.values)}


def _comparison(cell: Comparison) -> dict[str, Any]:
    """A ratio that is no result (`withheld` says why) has no numbers, so nobody can quote one."""
    ratio, shown = cell.ratio, not cell.withheld
    return {
        "n": ratio.n,
        "ratio": ratio.ratio if shown else None,
        "interval": _pair(ratio.interval if shown else None),
        "t_interval": _pair(ratio.t_interval if shown else None),
        "bca_interval": _pair(ratio.bca_interval if shown else None),
        "p": ratio.p if shown else None,
        "p_holm": cell.p_holm if shown else None,
        "p_floor": ratio.p_floor,
        "half_width": ratio.half_width if shown else None,
        "n_for_one_percent": ratio.n_for_one_percent,
        "verdict": cell.verdict,
        "withheld": cell.withheld or None,
    }


def _accuracy(difference: AccuracyDifference) -> dict[str, Any]:
    return {
        "n": difference.n,
        "difference_points": difference.difference_points,
        "interval": _pair(difference.interval),
        "margin_points": difference.margin_points,
        "tost_p": difference.tost_p,
        "verdict": difference.verdict,
    }


def _pair(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else list(interval)
