"""The runs that the repository keeps: no report of theirs says what its figures deny."""

from pathlib import Path

import pytest

from harness.analysis.analysis import analyze
from harness.analysis.conclusions import conclusions
from harness.report.as_json import report_document

RESULTS = Path(__file__).parent.parent.parent.parent / "results"
RUNS = sorted(path.parent for path in RESULTS.glob("*/manifest.json"))
LEVEL = 0.05


@pytest.fixture(scope="module", params=RUNS, ids=lambda folder: folder.name)
def kept(request):
    return analyze(request.param)


def test_there_are_some():
    assert len(RUNS) >= 4


def test_no_word_is_denied_by_its_p_or_its_interval(kept):
    cells = [
        (cell["verdict"], cell["p_different"], cell["p_equivalent"], cell["interval"])
        for pair in report_document(kept)["ratios"].values()
        for key, cell in pair.items()
        if key != "accuracy"
    ]
    words = [word for word, *_ in cells]
    assert set(words) <= {None, "faster", "slower", "equivalent", "inconclusive"}
    assert "faster" in words
    for word, different, equivalent, interval in cells:
        if word == "faster":
            assert different <= LEVEL
            assert interval[1] < 1
        elif word == "slower":
            assert different <= LEVEL
            assert interval[0] > 1
        elif word == "equivalent":
            assert equivalent <= LEVEL
        elif word == "inconclusive":
            assert different > LEVEL
            assert equivalent is None or equivalent > LEVEL


def test_only_what_is_decided_has_a_word(kept):
    for (a, b), cells in kept.comparisons.items():
        for key, cell in cells.items():
            primary = kept.baseline in (a, b) and key in kept.decision.rule.primary
            assert (cell.decided is not None) == primary
    for text in conclusions(kept):
        if "exploratory" in text:
            assert not any(word in text for word in ("faster", "slower", "equivalent"))


def test_accuracy_on_too_few_images_is_inconclusive_and_the_margin_stays(kept):
    for found in kept.accuracies.values():
        assert found.margin_points == kept.margins.accuracy_points
        if found.needed_images:
            assert found.verdict in (None, "inconclusive")
