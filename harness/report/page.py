"""Analysis -> the report: a self-contained page, a Markdown file, tables and plots as files."""

import re
import shlex
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from harness import units
from harness.analysis.analysis import Analysis
from harness.analysis.conclusions import conclusions
from harness.analysis.decision import decided_beforehand
from harness.analysis.published import SOURCE, difference_of_work, is_comparable
from harness.analysis.target import to_target
from harness.analysis.warnings import verification_sentence, warnings
from harness.errors import RecordError
from harness.profile import model as profiles
from harness.profile.model import Profile
from harness.report.frames import accuracy_values, summary_values, trial_values
from harness.report.machine_tables import across_table
from harness.report.plots import engines, machines, process, seeds, target
from harness.report.plots import profile as profile_plots
from harness.report.plots.style import INK, Plot, save
from harness.report.profile_tables import profile_context
from harness.report.provenance import (
    MOST_TRIALS,
    engine_table,
    host_table,
    machine_hosts,
    trial_table,
)
from harness.report.render import as_frame, render, write_csv
from harness.report.tables import (
    accuracy_table,
    carry_over_table,
    published_table,
    ratio_table,
    schedule_table,
    spread_table,
    wide_table,
)
from harness.report.target import share, target_note, target_table, target_values
from harness.safe import files
from harness.safe.text import one_line

# of a run and of a sweep, beside the plots
FILES = (
    "index.html",
    "report.md",
    "summary.csv",
    "trials.csv",
    "trials.parquet",
    "accuracy.csv",
    "target.csv",
)


def write_report(analysis: Analysis) -> Path:
    """Write `report/` of the run, from its records alone; returns the folder.

    What an earlier report left there is replaced, so that a plot that can no longer be drawn does
    not stay behind; anything else in that folder stays. `trials.parquet` is left out where pyarrow
    is not installed. Raises: RecordError where the folder is a link, or cannot be written.
    """
    known = (engines, process, machines, seeds, target, profile_plots)
    plots = (plot.name for module in known for plot in module.PLOTS)
    folder = fresh_report(analysis.run.folder, plots)
    write_csv(summary_values(analysis), folder / "summary.csv")
    trials = trial_values(analysis)
    write_csv(trials, folder / "trials.csv")
    if find_spec("pyarrow") is not None:
        as_frame(trials).to_parquet(folder / "trials.parquet", index=False)
    if analysis.spreads:
        write_csv(accuracy_values(analysis), folder / "accuracy.csv")
    found = to_target(analysis)
    if found is not None:
        write_csv(target_values(found), folder / "target.csv")
    shown = context(analysis) | {
        "plots": draw(_plots(analysis), analysis, folder),
        "spread_plots": draw(seeds.PLOTS, analysis, folder),
        "target_plots": draw(target.PLOTS, analysis, folder),
        "profile": _profile(analysis, folder),
    }
    write_pages("report", shown, folder)
    return folder


def _profile(analysis: Analysis, folder: Path) -> dict[str, Any] | None:
    """The section of the profile that lies in the run's folder, if one does."""
    found = profiles.read(analysis.run.folder / profiles.FOLDER)
    if found is None:
        return None
    return {**profile_context(found), "plots": draw(profile_plots.PLOTS, found, folder)}


def fresh_report(of: Path, plots: Iterable[str]) -> Path:
    """The folder `report` below `of`, without the files that a report with these plots writes.

    Raises: RecordError where it is a link, or cannot be written.
    """
    try:
        folder = files.folder(of, "report")
        for name in (*FILES, *(f"{plot}{end}" for plot in plots for end in (".svg", ".png"))):
            files.remove(folder, name)
    except OSError as error:
        raise RecordError(f"{error.filename}: {error.strerror}; no report is written.") from error
    return folder


def _plots(analysis: Analysis) -> list[Plot]:
    """Of a run of several machines no plot puts seconds of two machines on one axis."""
    return machines.PLOTS if analysis.machines else [*engines.PLOTS, *process.PLOTS]


def draw(plots: Iterable[Plot], analysis: Analysis | Profile, folder: Path) -> list[dict[str, Any]]:
    """Save the plots for which there is something to draw; as the templates show them."""
    return [shown(p.name, p.alt, folder) for p in plots if save(p, analysis, folder)]


def write_pages(name: str, values: dict[str, Any], folder: Path) -> None:
    """Fill the templates of that name into `report.md` and `index.html`."""
    for template, file in ((f"{name}.md.j2", "report.md"), (f"{name}.html.j2", "index.html")):
        files.replace(folder / file, render(template, values).encode())


def context(analysis: Analysis) -> dict[str, Any]:
    """What the templates show besides plots; every number is already text."""
    manifest, found = analysis.run.manifest, to_target(analysis)
    return {
        "name": manifest.run,
        "manifest": manifest,
        "conclusions": conclusions(analysis),
        "warnings": warnings(analysis),
        "verified": verification_sentence(analysis),
        "blocks": f"{analysis.valid_blocks} of {analysis.run.blocks}",
        "summary": wide_table(analysis),
        "published": published_table() if is_comparable(manifest) else None,
        "published_source": SOURCE,
        "published_difference": difference_of_work(manifest),
        "spreads": spread_table(analysis),
        "spread_note": _spread_note(analysis),
        "target": target_table(found) if found else None,
        "target_note": target_note(found) if found else "",
        "target_head": f"Time to {share(found.accuracy)}" if found else "",
        "profile": None,
        "beforehand": decided_beforehand(analysis.decision, analysis.margins),
        "ratios": ratio_table(analysis),
        "across": across_table(analysis) if analysis.machines else None,
        "machines": machine_hosts(analysis),
        "accuracies": accuracy_table(analysis),
        "schedule": schedule_table(analysis),
        "carry_over": carry_over_table(analysis),
        "trials": trial_table(analysis),
        "trials_left_out": max(len(analysis.run.trials) - MOST_TRIALS, 0),
        "command": one_line(shlex.join(manifest.command_line)),
        "engines": engine_table(analysis),
        "host": host_table(analysis),
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


def shown(name: str, alt: str, folder: Path) -> dict[str, Any]:
    """A saved plot as the templates show it: its file's name, its description, its drawing."""
    return {"name": name, "alt": alt, "svg": inline(folder / f"{name}.svg", name, alt)}


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
