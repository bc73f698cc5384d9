"""Writes the files of a profile: its document, its page, its tables and plots, its trace."""

from __future__ import annotations

import json
from pathlib import Path

from harness.errors import RecordError
from harness.profile import model
from harness.profile.model import Profile
from harness.profile.trace import trace
from harness.report.page import draw, fresh_report, write_pages
from harness.report.plots import profile as plots
from harness.report.profile_tables import profile_context
from harness.safe import files

TRACE = "trace.json"


def write_profile(profile: Profile, folder: Path) -> Path:
    """Write everything into `folder`, what an earlier profile left there being replaced.

    Returns: the path of the page. Raises: RecordError where the folder cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        files.folder(folder.parent, folder.name)
        for name, document in ((model.FILE, profile.document()), (TRACE, trace(profile))):
            files.replace(folder / name, (json.dumps(document, allow_nan=False) + "\n").encode())
    except OSError as error:
        raise RecordError(f"{error.filename}: {error.strerror}; no profile is written.") from error
    report = fresh_report(folder, (plot.name for plot in plots.PLOTS))
    shown = {**profile_context(profile), "plots": draw(plots.PLOTS, profile, report)}
    write_pages("profile", {"name": profile.name, "profile": shown}, report)
    return report / "index.html"
