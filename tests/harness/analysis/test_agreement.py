import numpy as np
import pytest

from harness.analysis.agreement import PREDICTIONS
from harness.analysis.analysis import analyze
from harness.records.store import TEST_LABELS
from harness.report.as_json import report_document
from harness.stats import mcnemar


@pytest.fixture
def run(make_run):
    """A run of one block whose engines predict 8 of 10 images alike."""
    folder = make_run({"a": 1.0, "b": 1.0}, blocks=1)
    labels = np.arange(10, dtype=np.uint8)
    ours, theirs = labels.copy(), labels.copy()
    ours[0] = 9  # only b is right
    theirs[1] = 9  # only a is right
    for name, predictions in (("a", ours), ("b", theirs)):
        path = folder / "trials" / f"0-{name}" / "test"
        path.mkdir(parents=True)
        np.save(path / PREDICTIONS, predictions)
    return folder, labels


def test_share_of_equal_predictions_without_labels(run):
    (found,) = analyze(run[0]).agreements["a", "b"]
    assert (found.block, found.equal, found.only_a, found.p) == (0, 0.8, None, None)


def test_mcnemar_with_labels(run):
    folder, labels = run
    np.save(folder / TEST_LABELS, labels)
    (found,) = analyze(folder).agreements["a", "b"]
    assert (found.only_a, found.only_b, found.p) == (1, 1, mcnemar(1, 1))


def test_it_is_in_the_json(run):
    document = report_document(analyze(run[0]))
    assert document["ratios"]["a/b"]["accuracy"]["predictions"] == [
        {"block": 0, "equal": 0.8, "only_a": None, "only_b": None, "p": None}
    ]


@pytest.mark.parametrize("content", [b"", b"not an array", b"\x93NUMPY\x01\x00"])
def test_a_damaged_file_is_no_agreement(run, content):
    folder, _ = run
    (folder / "trials" / "0-a" / "test" / PREDICTIONS).write_bytes(content)
    assert analyze(folder).agreements["a", "b"] == []


def test_pickles_are_never_loaded(run):
    folder, _ = run
    path = folder / "trials" / "0-a" / "test" / PREDICTIONS
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert analyze(folder).agreements["a", "b"] == []
