"""`bench verify`: honest engines pass, and each planted bug is found and named."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

from harness.data.cache import DataSet
from harness.trial.engines import Engine
from harness.verify.checks import checks
from harness.verify.jobs import NoResult, Result
from harness.verify.rounding import Search, variants
from harness.verify.verifier import ReferenceFailed, Verifier, document
from harness.workload import shapes
from harness.workload.format import parse

FAKE = Path(__file__).parents[2] / "fakes" / "numpy_engine.py"
WORKLOAD = {
    "name": "tiny",
    "model": {
        "layers": [
            {"type": "conv2d", "filters": 2, "kernel_size": 3, "activation": "relu"},
            {"type": "max_pooling2d"},
            {"type": "flatten"},
            {"type": "dense", "units": 3, "activation": "softmax"},
        ]
    },
    "data": {"dataset": "tiny"},
    "training": {
        "optimizer": "sgd",
        "learning_rate": 0.05,
        "epochs": 1,
        "batch_size": 4,
        "shuffle": True,
    },
}


def fake(bug: str = "") -> Engine:
    """The NumPy engine, with one planted bug."""
    option = ("--bug", bug) if bug else ()
    return Engine(bug or "honest", (sys.executable, "-P", str(FAKE), *option), "command")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> DataSet:
    """60 training and 40 test images of noise, 8x8x1, three classes."""
    folder, rng = tmp_path_factory.mktemp("tiny"), np.random.default_rng(7)
    counts, paths = {"train": 60, "test": 40}, {}
    for part, count in counts.items():
        paths[f"{part}_images"] = folder / f"{part}_images.npy"
        paths[f"{part}_labels"] = folder / f"{part}_labels.npy"
        np.save(paths[f"{part}_images"], rng.integers(0, 256, (count, 8, 8, 1), dtype=np.uint8))
        np.save(paths[f"{part}_labels"], rng.integers(0, 3, count, dtype=np.uint8))
    return DataSet("tiny", (8, 8, 1), 3, paths, {}, counts)


def resolved(**training) -> dict:
    """The tiny workload as a job holds it."""
    document = {**WORKLOAD, "training": {**WORKLOAD["training"], **training}}
    return shapes.resolve(parse(document).document(), (8, 8, 1), 3)


@pytest.fixture(scope="module")
def verifier(dataset, tmp_path_factory) -> Verifier:
    """One verifier for all bugs, so that the reference does each job once."""
    return Verifier(resolved(), dataset, fake(), tmp_path_factory.mktemp("verify"), steps=12)


def test_an_honest_engine_passes_every_check(verifier):
    findings = verifier.verify([fake()])
    assert [f.check for f in findings] == [
        "gradient",
        "last batch",
        "order",
        "steps",
        "float64",
        "losses",
        "predictions",
    ]
    assert all(f.ok for f in findings)
    # float32 against float64: equal to the last digit would mean that nothing was compared
    assert 0 < max(f.deviation for f in findings) < 1e-4
    assert document(findings, [])["ok"]


BUGS = {  # bug: the check that names it, and what it says
    "gradient": ("gradient", "0.kernel: the gradient of the first step is wrong: 1.01 times"),
    "axes": ("gradient", "0.kernel: the gradient of the first step is wrong: axes 0 and 1"),
    "flipped": ("gradient", "0.kernel: the gradient of the first step is wrong: kernel flipped"),
    "no-bias": ("gradient", "bias: the gradient of the first step is wrong: all zero"),
    "drop": ("last batch", "the short last batch was dropped"),
    "short-mean": ("last batch", "the short last batch is not used as the contract says"),
    "ignores-order": ("order", "the order array was ignored"),
    "backwards": ("order", "the order was taken backwards"),
    "first-order": ("order", "the first epoch's order was used in all"),
    "decay": ("gradient", "the gradient of the first step is wrong"),
    "late": ("float64", "the weights after 12 steps differ"),
    "loss": ("losses", "the loss of a step differs"),
    "classes": ("predictions", "classifies differently with equal weights"),
}


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found_and_named(verifier, bug):
    check, words = BUGS[bug]
    found = verifier.check(fake(bug), check)
    assert not found.ok
    assert words in f"{found.where}: {found.reason}"


RATES = {
    "ignores-rates": "the learning rates were ignored",
    "first-rates": "the first epoch's learning rates were used in all",
    "late-rates": "the learning rates were used one step late",
}


@pytest.fixture(scope="module")
def scheduled(dataset, tmp_path_factory) -> Verifier:
    """The same for a workload with a learning rate for each step."""
    workload = resolved(schedule="one_cycle")
    return Verifier(workload, dataset, fake(), tmp_path_factory.mktemp("rates"), steps=12)


@pytest.mark.parametrize("bug", ["", *RATES])
def test_learning_rates_that_are_read_wrongly_are_found_and_named(scheduled, bug):
    found = scheduled.check(fake(bug), "order")
    assert found.ok == (not bug)
    assert RATES.get(bug, "") in found.reason


@pytest.mark.parametrize("bug", RATES)
def test_the_short_form_finds_wrong_learning_rates(dataset, tmp_path, bug):
    short = Verifier(
        resolved(schedule="cosine", shuffle=False), dataset, fake(), tmp_path, short=True
    )
    assert not short.check(fake(bug), "order").ok


@pytest.mark.parametrize("bug", ["drop", "ignores-order", "first-order"])
def test_a_mistake_in_the_batches_leaves_the_first_gradient_alone(verifier, bug):
    assert verifier.check(fake(bug), "gradient").ok


def test_the_short_form_finds_them_too(dataset, tmp_path):
    short = Verifier(resolved(), dataset, fake(), tmp_path, short=True)
    for bug in ("gradient", "drop", "ignores-order"):
        assert not short.check(fake(bug), "order").ok
    assert [finding.ok for finding in short.verify([fake()])] == [True, True]


def test_images_taken_backwards_without_an_order_array(dataset, tmp_path):
    verifier = Verifier(resolved(shuffle=False), dataset, fake(), tmp_path, steps=1)
    assert "the images were taken backwards" in verifier.check(fake("backwards"), "order").reason


def test_batch_size_one_has_no_short_last_batch():
    assert "last batch" not in [check.name for check in checks(resolved(batch_size=1), 10)]


def test_float64_has_a_tolerance_of_its_own(dataset, tmp_path):
    verifier = Verifier(resolved(dtype="float64"), dataset, fake(), tmp_path, steps=5)
    found = verifier.check(fake(), "steps")
    assert found.ok
    assert found.tolerance == 1e-9


def test_dropout_is_verified_with_rate_zero_and_says_so(dataset, tmp_path):
    workload = resolved()
    layers = workload["model"]["layers"]
    dropout = {"type": "dropout", "rate": 0.5, "output_shape": layers[2]["output_shape"]}
    layers.insert(3, dropout)
    verifier = Verifier(workload, dataset, fake(), tmp_path)
    assert verifier.workload["model"]["layers"][3]["rate"] == 0.0
    assert workload["model"]["layers"][3]["rate"] == 0.5
    assert "layer 3 (dropout) is verified with rate 0" in verifier.notes[0]


def test_an_unsupported_layer_is_named_once(dataset, tmp_path):
    workload = resolved()
    layers = workload["model"]["layers"]
    dropout = {"type": "dropout", "rate": 0.5, "output_shape": layers[2]["output_shape"]}
    layers.insert(3, dropout)
    with pytest.raises(ReferenceFailed, match=r"unsupported: layer 3 \('dropout'\)"):
        Verifier(workload, dataset, fake(), tmp_path).verify([fake()])


def test_an_engine_that_does_not_run_is_one_finding(verifier):
    broken = dataclasses.replace(fake(), name="broken", command=(sys.executable, "-c", "1/0"))
    (finding,) = verifier.verify([broken])
    assert not finding.ok
    assert finding.deviation is None
    assert "exit_nonzero" in finding.reason


def test_steps_end_where_rounding_is_no_longer_small(dataset, tmp_path):
    verifier = Verifier(resolved(), dataset, fake("chaotic"), tmp_path, steps=12)
    assert verifier.check(fake(), "steps").ok
    (note,) = (note for note in verifier.notes if note.startswith("steps: "))
    expected = "steps: 6 steps instead of 12: over those, rounding alone moves float32 by"
    assert note.startswith(expected)


class Played:
    """Jobs without processes: results follow from engine, check and changes alone."""

    def __init__(self, kinks: dict[str, int]) -> None:
        self.kinks = kinks  # engine: on so many first stretches of images it meets a kink

    def places(self, check) -> int:
        return 4

    def train(self, engine, check, dtype, changes=None) -> Result:
        if engine.name == "single" and dtype == "float64":
            raise NoResult("unsupported: dtype 'float64'")
        start, end = {"w": np.zeros(2)}, {"w": np.ones(2)}
        if check.steps and check.place < self.kinks.get(engine.name, 0):
            end["w"][0] += 0.01
        return Result(start, end, [1.0])

    def classes(self, engine, dtype, trained) -> np.ndarray:
        return np.zeros(10)


def played(dataset, folder, name: str, **kinks: int) -> tuple[Verifier, list]:
    """A verifier without processes, and what it finds of the engine `name`."""
    verifier = Verifier(resolved(), dataset, fake(), folder, steps=8)
    verifier._jobs = Played(kinks)
    return verifier, verifier.verify([dataclasses.replace(fake(), name=name)])


def test_a_kink_on_one_stretch_of_images_is_no_mistake(dataset, tmp_path):
    _, findings = played(dataset, tmp_path, "kinked", kinked=1)
    assert all(finding.ok for finding in findings)
    (steps,) = (finding for finding in findings if finding.check == "steps")
    assert steps.reason == "on other images; 1e-02 on the first"


def test_a_deviation_on_two_clear_stretches_is_one(dataset, tmp_path):
    _, findings = played(dataset, tmp_path, "wrong", wrong=2)
    assert {f.check for f in findings if not f.ok} == {"steps", "float64"}


def test_an_engine_without_float64_is_not_asked_for_it(dataset, tmp_path):
    _, findings = played(dataset, tmp_path, "single")
    (finding,) = (finding for finding in findings if finding.check == "float64")
    assert finding.ok
    assert finding.deviation is None
    assert finding.reason == "unsupported: dtype 'float64'"
    assert document(findings, [])["ok"]


def test_jobs_are_tried_on_other_images_before_they_are_shortened():
    (asked,) = (check for check in checks(resolved(), 4) if check.name == "steps")
    jobs = [(job.steps, job.place) for job in variants(asked, resolved(), lambda check: 3)]
    assert jobs == [(4, 0), (4, 1), (4, 2), (2, 0), (2, 1), (1, 0), (1, 1)]
    (asked,) = (check for check in checks(resolved(), 4) if check.name == "float64")
    assert {job.dtype for job in variants(asked, resolved(), lambda check: 1)} == {"float64"}


def test_a_search_finds_clear_jobs_in_turn_and_knows_the_clearest():
    (asked,) = (check for check in checks(resolved(), 4) if check.name == "order")
    moved = {0: 1e-3, 1: 2e-5, 2: 4e-5, 3: 1e-5}
    jobs = (dataclasses.replace(asked, place=place) for place in moved)
    search = Search(jobs, lambda job: moved[job.place], 1e-4)
    assert [job.place if (job := search.clear(k)) else None for k in range(3)] == [1, 3, None]
    assert search.clear(0).place == 1
    assert search.clearest().moved == 1e-5


def test_where_nothing_is_clear_more_is_allowed_and_said(dataset, tmp_path):
    reference = fake()
    verifier = Verifier(resolved(), dataset, reference, tmp_path, steps=8)
    verifier._jobs = Shaky({})
    found = verifier.check(reference, "order")
    assert found.tolerance == pytest.approx(0.01)
    assert "order: 1e-02 is allowed: rounding alone moves float32 by 1e-03." in verifier.notes


class Shaky(Played):
    """A network in which rounding shows at once."""

    def train(self, engine, check, dtype, changes=None) -> Result:
        result = super().train(engine, check, dtype, changes)
        result.weights["w"][0] += 1e-3 if changes else 0.0
        return result
