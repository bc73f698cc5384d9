"""The report page as a browser sees it."""

import pytest

from harness.analysis.analysis import analyze
from harness.records.models import Point
from harness.records.store import append, read_manifest
from harness.report.page import write_report
from harness.report.plots import engines, process

PLOTS = [plot.name for plot in (*engines.PLOTS, *process.PLOTS)]
FIVE = ["myad", "myad-eager", "tensorflow", "pytorch", "an-engine-with-quite-a-long-name"]
WIDEST = "Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)"
# SVG text is drawn as paths, one group per text; its box in CSS pixels
TEXT_BOXES = """
[...document.querySelectorAll('#figure-NAME svg g[id*="-text_"]')]
  .map(g => g.getBoundingClientRect())
  .filter(b => b.width && b.height)
  .map(b => [b.left, b.top, b.right, b.bottom])
"""
FRAME = """
(b => b && [b.left - 1, b.top - 1, b.right + 1, b.bottom + 1])(
  document.querySelector('#figure-NAME svg')?.getBoundingClientRect())
"""


@pytest.fixture
def page(make_run, drawn):
    """page(...) -> path of the page of a synthetic run; the default one is drawn only once."""

    def write(*arguments, **options):
        if "default" in drawn and not arguments and not options:
            return drawn["default"]
        path = write_report(analyze(make_run(*arguments, **options))) / "index.html"
        if not arguments and not options:
            drawn["default"] = path
        return path

    return write


@pytest.fixture(scope="module")
def drawn():
    return {}


@pytest.fixture(autouse=True)
def fresh(browser):
    browser.errors.clear()
    browser.requests.clear()
    browser.media()


def column(browser, index):
    cells = f"[...document.querySelectorAll('.sortable tbody tr')].map(r => r.cells[{index}])"
    return browser.evaluate(f"{cells}.map(c => c.dataset.value ?? c.textContent)")


def click(browser, heading):
    browser.evaluate(
        "[...document.querySelectorAll('.sortable th button')]"
        f".find(b => b.textContent === '{heading}').click()"
    )


def test_no_error_and_no_request_to_anywhere(browser, page):
    path = page()
    browser.open(path)
    click(browser, "engine")
    assert browser.errors == []
    addresses = [url for url in browser.requests if not url.startswith("data:")]
    assert addresses == [path.resolve().as_uri()]
    assert "http://" not in path.read_text()
    assert "https://" not in path.read_text()


def test_all_plots_are_there_and_drawn(browser, page):
    browser.open(page())
    names = browser.evaluate("[...document.querySelectorAll('figure')].map(f => f.id)")
    assert names == [f"figure-{name}" for name in PLOTS]
    sizes = browser.evaluate(
        "[...document.querySelectorAll('figure svg')]"
        ".map(s => [s.getBoundingClientRect().width, s.getBoundingClientRect().height])"
    )
    assert all(width > 300 and height > 100 for width, height in sizes)
    # every reference inside the drawings leads somewhere
    assert browser.evaluate(
        "[...document.querySelectorAll('svg use')]"
        ".every(u => document.getElementById(u.getAttribute('href').slice(1)))"
    )


def test_ids_are_unique_although_the_figures_share_a_page(browser, page):
    browser.open(page())
    ids = browser.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))


def test_the_table_of_trials_sorts_by_number_and_by_text(browser, page):
    browser.open(page(blocks=10, fail={"3-myad": "signal"}))
    click(browser, "Testing time")  # the failed trial has none
    values = column(browser, 5)
    assert values[-1] == ""
    numbers = [float(v) for v in values[:-1]]
    assert numbers == sorted(numbers)
    click(browser, "Testing time")
    values = column(browser, 5)
    assert values[-1] == ""  # absent stays last
    assert [float(v) for v in values[:-1]] == sorted(numbers, reverse=True)
    click(browser, "engine")
    assert column(browser, 2) == ["myad"] * 10 + ["tensorflow"] * 10
    assert (
        browser.evaluate("document.querySelectorAll('.sortable th[aria-sort=ascending]').length")
        == 1
    )


@pytest.mark.parametrize("width", [390, 320])
def test_nothing_is_wider_than_a_phone(browser, page, width):
    browser.open(page({name: 1.0 + k for k, name in enumerate(FIVE)}), width=width)
    assert browser.evaluate(WIDEST) <= width


def test_text_is_large_enough_on_a_phone(browser, page):
    browser.open(page(), width=390)
    boxes = browser.evaluate(TEXT_BOXES.replace("NAME", "train"))
    assert min(bottom - top for _, top, _, bottom in boxes) > 4.5  # digits: two thirds of the size
    assert (
        browser.evaluate(
            "Math.min(...[...document.querySelectorAll('main *')]"
            ".map(e => parseFloat(getComputedStyle(e).fontSize)))"
        )
        >= 12
    )


def overlaps(boxes):
    """Pairs of boxes that cover each other by more than a pixel in both directions."""
    found = []
    for i, (left, top, right, bottom) in enumerate(boxes):
        for other in boxes[i + 1 :]:
            wide = min(right, other[2]) - max(left, other[0])
            high = min(bottom, other[3]) - max(top, other[1])
            if wide > 1 and high > 1:
                found.append((boxes[i], other))
    return found


def test_an_overlap_would_be_found():
    apart, over = [0, 0, 10, 10], [8, 8, 20, 20]
    assert overlaps([apart, over]) == [(apart, over)]
    assert overlaps([apart, [9.5, 0, 20, 10]]) == []


def check_texts(browser, name):
    """No text of a figure lies over another one or is cut off at the edge of the drawing."""
    boxes = browser.evaluate(TEXT_BOXES.replace("NAME", name))
    assert overlaps(boxes) == [], name
    left, top, right, bottom = browser.evaluate(FRAME.replace("NAME", name)) or [0] * 4
    for box in boxes:
        assert box[0] >= left and box[1] >= top, name  # noqa: PT018
        assert box[2] <= right and box[3] <= bottom, name  # noqa: PT018
    return boxes


@pytest.mark.parametrize("names", [FIVE[:1], [FIVE[0], FIVE[2]], FIVE])
def test_texts_of_a_figure_do_not_overlap(browser, page, names):
    seconds = {name: 0.4 * 4.0**k for k, name in enumerate(names)}
    browser.open(page(seconds, epochs=4))
    for name in PLOTS:
        if not check_texts(browser, name):  # one engine has no ratios to draw
            assert (name, len(names)) == ("ratios", 1)


@pytest.mark.parametrize("names", [FIVE[:1], [FIVE[0], FIVE[2]], FIVE])
def test_seeds_and_curves_of_engines_that_agree(browser, make_run, names):
    seconds = dict.fromkeys(names, 1.0)
    folder = make_run(seconds, blocks=2, further_seeds=[2, 3], curves=True)
    for key in read_manifest(folder).points():
        accuracy = 0.8 + 0.04 * key.epoch - 0.001 * key.seed
        append(folder, Point(**key._asdict(), at="2026-01-01T00:00:00Z", accuracy=accuracy))
    browser.open(write_report(analyze(folder)) / "index.html")
    for name in ("seeds", "curves"):
        assert check_texts(browser, name)
    browser.resize(390)
    assert browser.evaluate(WIDEST) <= 390
    assert browser.errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(browser, page, scheme):
    browser.open(page())
    browser.media(prefers_color_scheme=scheme)
    shades = browser.evaluate(
        "['body', '#figure-train svg g[id*=\"-text_\"] g'].map(s => {"
        "const style = getComputedStyle(document.querySelector(s));"
        "return [style.backgroundColor, style.color, style.fill] })"
    )
    paper, ink = luminance(shades[0][0]), luminance(shades[0][1])
    assert (paper > ink) == (scheme == "light")
    assert contrast(paper, ink) >= 7
    assert contrast(paper, luminance(shades[1][2])) >= 7  # the figures' own text follows
    surfaces = browser.evaluate(
        "[...document.querySelectorAll('svg [id*=\"-patch_\"] path')]"
        ".filter(p => p.getBoundingClientRect().width > 150)"
        ".map(p => getComputedStyle(p).fill)"
    )
    assert surfaces
    assert "rgb(255, 255, 255)" not in surfaces  # no white ground below the drawing


def luminance(colour):
    """Relative luminance of "rgb(r, g, b)" (WCAG 2)."""
    parts = [float(p) / 255 for p in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    """Contrast ratio of two luminances (WCAG 2)."""
    high, low = max(one, other), min(one, other)
    return (high + 0.05) / (low + 0.05)


def test_print_shows_every_trial_and_cuts_nothing_off(browser, page):
    browser.open(page(), width=760)  # about the width of A4 in CSS pixels
    browser.media("print")
    assert browser.evaluate(WIDEST) <= 760
    assert browser.evaluate(
        "[...document.querySelectorAll('.scroll')].every(e => e.scrollHeight <= e.clientHeight + 1)"
    )


def test_a_name_with_markup_is_text(browser, page):
    evil = "<img src=x onerror=document.title='hacked'>"
    browser.open(page({"myad": 0.4}, host={"cpu": evil}))
    assert browser.evaluate("document.title") == "made: bench report"
    assert browser.evaluate("document.querySelectorAll('img').length") == 0
    assert evil in browser.evaluate("document.body.textContent")


@pytest.mark.parametrize(
    "options",
    [
        {"blocks": 1},
        {"stop": 7},
        {"fail": {f"{b}-{e}": "timeout" for b in range(10) for e in ("myad", "tensorflow")}},
    ],
    ids=["one block", "cut short", "nothing valid"],
)
def test_incomplete_runs_have_a_sound_page(browser, page, options):
    browser.open(page(**options), width=390)
    assert browser.errors == []
    assert browser.evaluate(WIDEST) <= 390
