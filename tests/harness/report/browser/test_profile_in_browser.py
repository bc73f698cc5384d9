"""The page of a profile, and a run's page with a profile, as a browser sees them."""

import pytest

from harness.analysis.analysis import analyze
from harness.profile.model import FOLDER
from harness.report.page import write_report
from harness.report.profile import write_profile
from tests.fakes.profiles import engine, profile
from tests.harness.report.browser.test_page_in_browser import WIDEST, check_texts

PLOTS = ("profile-classes", "profile-roofline")
SIX = [
    "myad",
    "myad-eager",
    "tensorflow",
    "tensorflow-tuned",
    "pytorch",
    "quite-a-long-name",
]


@pytest.fixture(autouse=True)
def fresh(browser):
    browser.errors.clear()
    browser.media()


@pytest.mark.parametrize("count", [1, 2, 6])
def test_texts_of_the_plots_do_not_overlap(browser, tmp_path, count):
    engines = [engine(name, 1e-4 * 3**n) for n, name in enumerate(SIX[:count])]
    page = write_profile(profile(*engines, preset="lenet5"), tmp_path / "p")
    for width in (1200, 390):
        browser.open(page, width=width)
        assert browser.evaluate(WIDEST) <= width
        for name in PLOTS:
            assert check_texts(browser, name)
    assert browser.errors == []


def test_a_run_has_the_section_and_its_operations_unfold(browser, make_run):
    run = make_run()
    write_profile(profile(), run / FOLDER)
    browser.open(write_report(analyze(run)) / "index.html", width=390)
    assert browser.evaluate(WIDEST) <= 390
    heads = browser.evaluate("[...document.querySelectorAll('h2')].map(h => h.textContent)")
    assert "Where the time goes" in heads
    rows = "document.querySelectorAll('#profile details tbody tr').length"
    assert browser.evaluate(rows) == 16
    browser.evaluate("document.querySelector('#profile details').open = true")
    browser.evaluate("document.querySelector('#profile details th button').click()")
    assert browser.evaluate(WIDEST) <= 390
    ids = browser.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))
    assert browser.errors == []
