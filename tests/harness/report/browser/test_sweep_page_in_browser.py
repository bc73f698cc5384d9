"""The page of a sweep as a browser sees it."""

import json

import pytest

from harness.analysis.metrics import METRICS
from harness.report.sweep import read_sweep, write_sweep_report

WIDEST = "Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)"


@pytest.fixture
def page(make_run):
    """The page of a sweep over two batch sizes."""
    for number, batch in enumerate((1, 32), start=1):
        folder = make_run(
            {"myad": 0.4 / batch, "tensorflow": 160.0 / batch},
            name=f"s/{number}-batch_size-{batch}",
            timelines=False,
        )
    definition = {"axes": {"training.batch_size": ["1", "32"]}}
    (folder.parent / "sweep.json").write_text(json.dumps(definition))
    return write_sweep_report(read_sweep(folder.parent)) / "index.html"


def test_curves_are_drawn_and_nothing_is_wider_than_a_phone(browser, page):
    browser.errors.clear()
    browser.requests.clear()
    browser.open(page, width=390)
    assert browser.errors == []
    assert [url for url in browser.requests if not url.startswith("data:")] == [
        page.resolve().as_uri()
    ]
    assert browser.evaluate("document.querySelectorAll('figure svg').length") == sum(
        m.swept for m in METRICS
    )
    assert browser.evaluate(WIDEST) <= 390
