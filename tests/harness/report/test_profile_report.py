"""The files of a profile, and the section of a run's report that shows the one beside it."""

import json

from harness.analysis.analysis import analyze
from harness.profile.model import FOLDER
from harness.report.page import write_report
from harness.report.profile import write_profile
from tests.fakes.profiles import engine, profile

PLOTS = ("profile-classes", "profile-roofline")


def test_page_tables_plots_and_trace_are_written(tmp_path):
    page = write_profile(profile(), tmp_path / "p")
    folder = tmp_path / "p"
    assert page == folder / "report" / "index.html"
    assert json.loads((folder / "trace.json").read_text())["traceEvents"]
    for name in PLOTS:
        assert (folder / "report" / f"{name}.png").stat().st_size > 5_000
    text = (folder / "report" / "report.md").read_text()
    assert "| convolution, kernel gradient | 0.275 ms, 25.0 % | 2.75 ms, 25.0 % |" in text
    assert "the profiler adds" in text


def test_nothing_is_drawn_where_no_engine_was_profiled(tmp_path):
    page = write_profile(profile(engine("a", failure="it <b>crashed</b>")), tmp_path / "p")
    assert not (page.parent / f"{PLOTS[0]}.png").exists()
    assert "it &lt;b&gt;crashed&lt;/b&gt;" in page.read_text()


def test_a_run_shows_the_profile_beside_it_and_no_other(make_run, monkeypatch):
    for module in ("engines", "process"):  # the run's own are drawn by other tests
        monkeypatch.setattr(f"harness.report.plots.{module}.PLOTS", [])
    run = make_run()
    page = write_report(analyze(run)) / "index.html"
    assert 'id="profile"' not in page.read_text()
    write_profile(profile(), run / FOLDER)
    write_report(analyze(run))
    text = page.read_text()
    assert 'id="profile"' in text
    assert 'id="figure-profile-roofline"' in text
    assert "## Where the time goes" in (page.parent / "report.md").read_text()
    (run / FOLDER / "profile.json").unlink()
    write_report(analyze(run))
    assert not (page.parent / "profile-classes.png").exists()


def test_made_twice_it_is_the_same(tmp_path):
    pages = [write_profile(profile(), tmp_path / name).read_bytes() for name in ("p", "p")]
    assert pages[0] == pages[1]
