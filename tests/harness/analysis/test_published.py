import pytest

from harness.analysis.metrics import BY_KEY
from harness.analysis.published import PUBLISHED, compared, difference_of_work, is_comparable
from harness.records.store import read_run
from harness.workload.format import load


def manifest(make_run, workload):
    return read_run(make_run({"a": 1.0}, blocks=1, workload=workload, name="r")).manifest


def test_ratios_of_the_study():
    assert PUBLISHED["train_wall_s"].ratio == pytest.approx(1.119, abs=5e-4)
    assert PUBLISHED["test_wall_s"].ratio == pytest.approx(0.888, abs=5e-4)
    assert PUBLISHED["total_wall_s"].ratio == pytest.approx(1.109, abs=5e-4)
    assert compared(BY_KEY["accuracy"]) == "-0.27 points"


def test_the_paper_preset_does_the_same_work(make_run):
    found = manifest(make_run, load("paper").document())
    assert is_comparable(found)
    assert difference_of_work(found) == ""


def test_a_part_of_the_work_is_named(make_run):
    found = manifest(make_run, load("quick").document())
    assert is_comparable(found)
    assert "training.epochs 1 instead of 3" in difference_of_work(found)
    assert "data.train_limit 10000 instead of all" in difference_of_work(found)


def test_another_network_is_not_compared(make_run):
    assert not is_comparable(manifest(make_run, load("lenet5").document()))
