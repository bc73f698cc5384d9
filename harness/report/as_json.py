"""The report as one JSON document, for programs; `docs/report.md` describes every key.

Intervals are pairs, which JSON writes as lists.
"""

from dataclasses import asdict
from typing import Any

from harness.analysis.analysis import Analysis, Comparison
from harness.analysis.decision import decided_beforehand
from harness.analysis.metrics import METRICS
from harness.analysis.target import to_target
from harness.report.frames import STATISTICS


def report_document(analysis: Analysis) -> dict[str, Any]:
    """Everything known of the run, unrounded; what could not be had is null."""
    manifest = analysis.run.manifest
    return {
        "run": manifest.run,
        "preset": manifest.preset,
        "blocks": {"planned": analysis.run.blocks, "valid": analysis.valid_blocks},
        "decision": _decision(analysis),
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


def _decision(analysis: Analysis) -> dict[str, Any]:
    """What was decided beforehand, and the family that came of it."""
    decision = analysis.decision
    return {
        "sentence": decided_beforehand(decision, analysis.margins),
        "named_before_the_run": decision.named,
        **decision.rule.model_dump(),
        "margins": analysis.margins.model_dump(),
        "comparisons": decision.family.size,
        "level_of_each": decision.family.alpha,
        "widest_half": decision.widest,
        "ended": analysis.run.ended.reason if analysis.run.ended else None,
        "left_out_blocks": list(decision.left_out),
    }


def _comparison(cell: Comparison) -> dict[str, Any]:
    """A ratio that is no result (`withheld` says why) has no numbers, so nobody can quote one.

    For what is exploratory the verdict and both p of the family are null; `p` is the exact sign
    flips' of this comparison alone.
    """
    ratio, decided, shown = cell.ratio, cell.decided, not cell.withheld
    return {
        "n": cell.n,
        "ratio": cell.value if shown else None,
        "interval": cell.interval if shown else None,
        "t_interval": ratio.t_interval if shown else None,
        "bca_interval": ratio.bca_interval if shown else None,
        "p": ratio.p if shown else None,
        "p_different": decided.member.p if shown and decided else None,
        "p_equivalent": decided.p_equivalent if shown and decided else None,
        "p_floor": ratio.p_floor,
        "half_width": cell.half_width if shown else None,
        "n_for_one_percent": ratio.n_for_one_percent,
        "n_to_find_effect": decided.needed if decided else None,
        "bound": cell.bound or None,
        "primary": decided is not None,
        "verdict": cell.verdict,
        "withheld": cell.withheld or None,
    }
