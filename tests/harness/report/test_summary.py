"""The live view of `bench run` and the summary it ends with."""

import io

from rich.console import Console

from harness.records.store import read_run
from harness.report.terminal import live_tables, print_summary


def printed(render, width=100, **options):
    out = io.StringIO()
    render(Console(file=out, width=width, **options))
    return out.getvalue()


def test_live_tables_of_a_run_that_has_just_begun(make_run):
    for stop in (0, 1, 3):
        run = read_run(make_run(name=f"stop{stop}", stop=stop, timelines=False))
        text = printed(lambda console, run=run: [console.print(t) for t in live_tables(run, 100)])
        assert "median so far" in text
        assert "Training time" in text
        assert "of 10" in text


def test_a_terminal_gets_colour_and_a_pipe_does_not(make_run):
    folder = make_run(fail={"1-myad": "signal"})
    coloured = printed(lambda c: print_summary(folder, c), force_terminal=True)
    plain = printed(lambda c: print_summary(folder, c))
    assert "\x1b[33m" in coloured
    assert "\x1b" not in plain


def test_no_color_is_respected(make_run, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    text = printed(
        lambda c: print_summary(make_run(fail={"1-myad": "signal"}), c), force_terminal=True
    )
    assert "\x1b[33m" not in text


def test_names_are_not_markup(make_run):
    folder = make_run(preset="[red]a[/red] \x1b[31m")
    text = printed(lambda c: print_summary(folder, c), width=160)
    assert r"[red]a[/red] \x1b[31m" in text
    assert "\x1b" not in text


def test_a_terminal_that_knows_only_ascii_does_not_fail(make_run):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", errors="replace")
    print_summary(make_run(), Console(file=stream, width=100))
    stream.flush()
    assert b"myad trains" in raw.getvalue()
