"""Analysis -> the report: a self-contained page, a Markdown file, tables and figures as files."""

import re
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from harness import units
from harness.analysis.analysis import Analysis
from harness.analysis.conclusions import conclusions
from harness.analysis.metrics import BY_KEY, METRICS, RATIO_METRICS
from harness.analysis.published import (
    PUBLISHED,
    RATIO,
    SOURCE,
    compared,
    difference_of_work,
    exact,
    is_comparable,
)
from harness.analysis.seeds import Spread
from harness.analysis.warnings import drift_of, outcome, slots_of, verification_sentence, warnings
from harness.records.models import Trial
from harness.report.plots.engines import comparison_plots
from harness.report.plots.process import course_plots
from harness.report.plots.seeds import spread_plots
from harness.report.plots.style import INK, Plot, save
from harness.report.tables import (
    accuracy_frame,
    mean_and_sd,
    ratio_text,
    summary_frame,
    trial_frame,
    valid_text,
    write_csv,
)
from harness.stats import accuracy_word, holm

TEMPLATES = Path(__file__).parent / "templates"
MOST_TAILS = 200  # log tails of this many trials are in the page; the rest lie in the run's folder
TAIL_CHARACTERS = 2_000


def write_report(analysis: Analysis) -> Path:
    """Write `report/` of the run, from its records alone; returns the folder.

    Whatever an earlier report left there is replaced, so that a figure that can no longer be
    drawn does not stay behind.
    """
    folder = analysis.run.folder / "report"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_csv(summary_frame(analysis), folder / "summary.csv")
    trials = trial_frame(analysis)
    write_csv(trials, folder / "trials.csv")
    trials.to_parquet(folder / "trials.parquet", index=False)
    if analysis.spreads:
        write_csv(accuracy_frame(analysis), folder / "accuracy.csv")
    drawn = [p for p in [*comparison_plots(), *course_plots()] if save(p, analysis, folder)]
    spread = [p for p in spread_plots() if save(p, analysis, folder)]
    shown = context(analysis, drawn) | {"spread_plots": spread}
    (folder / "report.md").write_text(render("report.md.j2", shown), encoding="utf-8")
    shown["svgs"], shown["spread_svgs"] = (
        [inline(folder / f"{p.name}.svg", p.name, p.alt) for p in plots]
        for plots in (drawn, spread)
    )
    (folder / "index.html").write_text(render("index.html.j2", shown), encoding="utf-8")
    return folder


def render(template: str, values: dict[str, Any]) -> str:
    """Fill a template; HTML is escaped, in Markdown the filter `md` does it."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=jinja2.select_autoescape(["html.j2"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"md": markdown, "seconds": units.seconds, "size": units.size}
    return environment.get_template(template).render(values)


def markdown(text: object) -> str:
    """Text as Markdown that shows exactly that text, in a table cell too."""
    flat = " ".join(str(text).split())
    escaped = re.sub(r"([\\`*_{}\[\]#|~$])", r"\\\1", flat)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def context(analysis: Analysis, plots: Sequence[Plot]) -> dict[str, Any]:
    """What the templates show; every number is already text."""
    manifest = analysis.run.manifest
    return {
        "manifest": manifest,
        "analysis": analysis,
        "conclusions": conclusions(analysis),
        "warnings": warnings(analysis),
        "verified": verification_sentence(analysis),
        "blocks": f"{analysis.valid_blocks} of {manifest.repeats}",
        "plots": plots,
        "metrics": METRICS,
        "figures": _figure_rows(analysis),
        "ratio_heads": [f"{name} / {analysis.baseline}" for name in analysis.rivals],
        "comparisons": _comparison_rows(analysis),
        "accuracies": _accuracy_rows(analysis),
        "published": _published_rows() if is_comparable(manifest) else [],
        "published_source": SOURCE,
        "published_ratio": RATIO,
        "published_difference": difference_of_work(manifest),
        "spreads": [_spread_row(row) for row in analysis.last_spreads],
        "spread_note": _spread_note(analysis),
        "schedule": _schedule_rows(analysis),
        "trials": [trial_row(analysis, t, k) for k, t in enumerate(analysis.run.trials)],
        "command": " ".join(map(quoted, manifest.command_line)),
        "host": flat(manifest.host),
        "versions": flat(manifest.versions),
        "engines": _engine_rows(analysis),
    }


def quoted(argument: str) -> str:
    """An argument as one types it in a shell."""

    return shlex.quote(argument)


def _figure_rows(analysis: Analysis) -> list[dict[str, Any]]:
    rows = [
        {
            "title": metric.title,
            "cells": [mean_and_sd(analysis, name, metric) for name in analysis.engines],
            "ratios": [ratio_text(analysis, name, metric) for name in analysis.rivals],
        }
        for metric in METRICS
    ]
    valid = [valid_text(analysis, name) for name in analysis.engines]
    return [*rows, {"title": "Trials valid", "cells": valid, "ratios": [""] * len(analysis.rivals)}]


def _comparison_rows(analysis: Analysis) -> list[dict[str, Any]]:
    """One row per engine and metric against the baseline, with everything known about it."""
    rows = []
    for name in analysis.rivals:
        for metric in RATIO_METRICS:
            cell = analysis.comparisons[name, analysis.baseline][metric.key]
            ratio = cell.ratio
            shown = not cell.withheld
            rows.append(
                {
                    "pair": f"{cell.a} / {cell.b}",
                    "title": metric.title,
                    "n": ratio.n,
                    "ratio": units.ratio(ratio.ratio) if shown else "withheld",
                    "t": units.span(ratio.t_interval) if shown else units.ABSENT,
                    "bca": units.span(ratio.bca_interval) if shown else units.ABSENT,
                    "p": units.probability(cell.p_holm) if shown else units.ABSENT,
                    "half": _half_width(ratio.half_width) if shown else units.ABSENT,
                    "needed": f"{n:,}" if (n := ratio.n_for_one_percent) else units.ABSENT,
                    "verdict": cell.verdict or units.ABSENT,
                }
            )
    return rows


def _half_width(value: float | None) -> str:
    return units.ABSENT if value is None else f"±{units.significant(100 * value, 2)} %"


def _accuracy_rows(analysis: Analysis) -> list[dict[str, Any]]:
    rows = []
    for name in analysis.rivals:
        found = analysis.accuracies[name, analysis.baseline]
        span = units.span(found.interval, units.signed)
        rows.append(
            {
                "pair": f"{name} − {analysis.baseline}",
                "n": found.n,
                "difference": units.points(found.difference_points),
                "span": span,
                "margin": f"{found.margin_points:.2f} points",
                "p": units.probability(found.tost_p),
                "verdict": accuracy_word(found),
                **_agreement(analysis, name),
            }
        )
    return rows


def _agreement(analysis: Analysis, name: str) -> dict[str, str]:
    """Least share of equal predictions, and the smallest McNemar p, Holm-corrected over blocks."""
    found = analysis.agreements[name, analysis.baseline]
    adjusted = [p for p in holm([block.p for block in found]) if p is not None]
    return {
        "equal": f"{100 * min(block.equal for block in found):.2f} %" if found else units.ABSENT,
        "mcnemar": units.probability(min(adjusted, default=None)),
    }


def _spread_row(row: Spread) -> dict[str, Any]:
    figures = row.figures
    return {
        "engine": row.engine,
        "n": figures.n,
        "sd": units.ABSENT if figures.sd is None else f"{100 * figures.sd:.2f} points",
        **{key: units.percent(getattr(figures, key)) for key in ("mean", "median", "min", "max")},
        "failed": row.failed,
    }


def _spread_note(analysis: Analysis) -> str:
    """Which starts there are, and what they are for."""
    manifest = analysis.run.manifest
    first = units.counted(manifest.repeats, "start")
    more = units.counted(len(manifest.further_seeds), "further start")
    return (
        f"{first} from the blocks, {more} trained and tested after the last block; those are not "
        "timed. All engines have the same starts, so the difference of accuracy is paired over "
        "all of them; times and memory come from the blocks alone."
    )


def _published_rows() -> list[dict[str, Any]]:
    return [
        {
            "title": metric.title,
            "cells": [exact(metric, value) for value in PUBLISHED[metric.key].values.values()],
            "ratio": compared(metric),
        }
        for metric in METRICS
        if metric.key in PUBLISHED
    ]


def _schedule_rows(analysis: Analysis) -> list[dict[str, Any]]:
    """Drift, autocorrelation and slot effects of the total time, per engine."""
    metric = BY_KEY["total_wall_s"]
    rows = []
    for name in analysis.engines:
        trend = drift_of(analysis, name, metric)
        slots = slots_of(analysis, name, metric)
        rows.append(
            {
                "engine": name,
                "drift": units.ABSENT
                if trend.per_block is None
                else f"{100 * trend.per_block:+.2f} % per block",
                "span": units.span(trend.interval, lambda end: units.signed(100 * end)),
                "lag": units.ABSENT if trend.lag_one is None else f"{trend.lag_one:+.2f}",
                "slots": ", ".join(
                    f"{slot + 1}: {100 * (effect - 1):+.1f} %" for slot, effect in slots.items()
                ),
            }
        )
    return rows


def trial_row(analysis: Analysis, trial: Trial, index: int) -> dict[str, Any]:
    """One row of the table of all trials: the raw value to sort by, and its text."""
    values = [(metric.read(trial), metric) for metric in METRICS]
    tail = "\n".join(
        part[-TAIL_CHARACTERS:]
        for process in (trial.train, trial.test)
        if process is not None
        for part in (process.stdout_tail, process.stderr_tail)
        if part.strip()
    )
    return {
        "id": trial.id,
        "block": trial.block + 1,
        "engine": trial.engine,
        "outcome": outcome(trial),
        "valid": trial.valid,
        "note": _note(trial),
        "cells": [
            {"raw": "" if value is None else repr(value), "text": metric.text(value)}
            for value, metric in values
        ],
        "tail": tail if index < MOST_TAILS else "",
    }


def _note(trial: Trial) -> str:
    parts = ["warm-up"] if trial.warmup else []
    if trial.failure:
        parts.append(trial.failure)
    if trial.disturbed:
        parts.append(f"disturbed: {', '.join(trial.disturbances)}")
    return "; ".join(parts)


def flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested values as rows "cpu.model", "…"."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, dict):
            rows += flat(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            rows.append((f"{prefix}{key}", ", ".join(map(str, value))))
        elif value is not None:
            rows.append((f"{prefix}{key}", str(value)))
    return rows


def _engine_rows(analysis: Analysis) -> list[dict[str, str]]:
    rows = []
    for entry in analysis.run.manifest.engines:
        trials = [t for t in analysis.run.valid() if t.engine == entry.name]
        found = trials[0].train.versions if trials and trials[0].train is not None else {}
        rows.append(
            {
                "name": entry.name,
                "command": " ".join(map(quoted, entry.command)),
                "versions": ", ".join(f"{k} {v}" for k, v in sorted(found.items())),
            }
        )
    return rows


def inline(path: Path, name: str, alt: str) -> Markup:
    """An SVG file as an element of the page: no addresses, ids of its own, text in page colour."""
    text = path.read_text(encoding="utf-8")
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:\w+)?="[^"]*"', "", text)
    text = text.replace("xlink:href", "href")
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    text = text.replace(INK, "currentColor")
    label = escape(alt)
    opening = re.sub(r'(width|height)="[^"]*pt"', "", text[: text.index(">")])
    head = f'{opening} role="img" aria-label="{label}"'
    return Markup(head + text[text.index(">") :])
