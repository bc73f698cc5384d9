"""Every engine file that is found keeps the contract, and all give the same weights.

The workload is tiny and holds every layer, both paddings, strides that do not divide, three
channels, an image that is not square, an order per epoch and a short last batch. One optimizer has
a learning rate for each step, weight decay, one thread, and leaves the weights after each epoch;
the other is of protocol 1 and has two threads.
"""

import json
import subprocess

import numpy as np
import pytest

from harness.data.cache import DataSet
from harness.process.supervise import Limits
from harness.records.models import Planned
from harness.trial.engines import Engine, find
from harness.trial.trial import Bench, prepare_inputs, run_trial
from harness.workload import shapes
from harness.workload import start as weights
from harness.workload.format import parse

LAYERS = [
    {"type": "conv2d", "filters": 4, "kernel_size": [3, 2], "padding": "same", "strides": [2, 1]},
    {"type": "activation", "activation": "tanh"},
    {"type": "average_pooling2d", "pool_size": 2, "strides": 1, "padding": "same"},
    {"type": "conv2d", "filters": 3, "kernel_size": 2, "activation": "relu", "use_bias": False},
    {"type": "max_pooling2d", "pool_size": [2, 3], "strides": 2, "padding": "same"},
    {"type": "dropout", "rate": 0.0},
    {"type": "flatten"},
    {"type": "dense", "units": 6, "activation": "sigmoid"},
    {"type": "dense", "units": 4, "activation": "softmax"},
]
THREADS = {"nesterov": 1, "rmsprop": 1, "adam": 2}
NEWER = {"schedule": "one_cycle", "weight_decay": 0.01, "momentum": 0.9}
SETTINGS = {
    "nesterov": {"optimizer": "sgd", "learning_rate": 0.05, "nesterov": True, **NEWER},
    "rmsprop": {"optimizer": "rmsprop", "learning_rate": 0.005, **NEWER},
    "adam": {"optimizer": "adam", "learning_rate": 0.01},
}
ENGINES = find()
SLOW = {"tensorflow-scan", "tensorflow-tuned", "jax-tuned"}  # seconds to start, a sibling has both
CASES = [(name, "nesterov") for name in ENGINES]
CASES += [(name, "adam") for name in ENGINES if name not in SLOW]
CASES += [("pytorch", "rmsprop"), ("jax", "rmsprop")]  # the others' optimizers are libraries'
COUNTS = {"train": 22, "test": 13}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> DataSet:
    """Noise, 9x7 pixels, three channels, four classes."""
    folder, rng = tmp_path_factory.mktemp("noise"), np.random.default_rng(3)
    paths = {}
    for part, count in COUNTS.items():
        paths[f"{part}_images"] = folder / f"{part}_images.npy"
        paths[f"{part}_labels"] = folder / f"{part}_labels.npy"
        np.save(paths[f"{part}_images"], rng.integers(0, 256, (count, 9, 7, 3), dtype=np.uint8))
        np.save(paths[f"{part}_labels"], rng.integers(0, 4, count, dtype=np.uint8))
    return DataSet("noise", (9, 7, 3), 4, paths, {}, COUNTS)


def bench(folder, dataset, engine: Engine, settings: str, dtype: str) -> Bench:
    """A run of one engine on the workload."""
    training = {**SETTINGS[settings], "epochs": 2, "batch_size": 5, "shuffle": True}
    document = {
        "name": "everything",
        "model": {"layers": LAYERS},
        "data": {"dataset": "noise"},
        "training": {**training, "dtype": dtype},
        "testing": {"batch_size": 4},
    }
    workload = shapes.resolve(parse(document).document(), (9, 7, 3), 4)
    limits = Limits(timeout_s=300, sample_interval_s=None)
    return Bench(folder, {engine.name: engine.command}, workload, dataset, dataset, limits=limits,
                 threads=THREADS[settings], checkpoints=settings != "adam")  # fmt: skip


def trained(folder, dataset, engine: Engine, settings: str, dtype: str = "float32"):
    """The trial of one engine, and the weights it came to."""
    run = bench(folder, dataset, engine, settings, dtype)
    planned = Planned(id=f"0-{engine.name}", block=0, slot=0, engine=engine.name, seed=11)
    kept = {}

    def keep() -> None:  # a valid trial's weights are deleted at its end
        path = folder / "trials" / planned.id / "train" / "weights.npz"
        if path.exists() and (path.parent.parent / "test").exists() and not kept:
            kept.update(weights.load(path, run.workload["model"]))

    run.on_tick = keep
    trial = run_trial(run, planned)
    return trial, kept, prepare_inputs(run, planned)


@pytest.fixture(scope="module")
def expected(dataset, tmp_path_factory):
    """What the eager engine comes to in float64, by optimizer."""
    return {
        settings: trained(
            tmp_path_factory.mktemp(f"expected-{settings}"),
            dataset,
            ENGINES["myad-eager"],
            settings,
            "float64",
        )
        for settings in SETTINGS
    }


@pytest.mark.parametrize(("name", "settings"), CASES, ids=[" ".join(case) for case in CASES])
def test_engine_keeps_the_contract_and_agrees(name, settings, dataset, expected, tmp_path):
    engine = ENGINES[name]
    if engine.missing:
        pytest.skip(f"{name} needs {', '.join(engine.missing)}")
    reference, right, _ = expected[settings]
    assert reference.valid, reference.failure
    trial, found, inputs = trained(tmp_path, dataset, engine, settings)
    assert trial.valid, f"{trial.failure}\n{trial.train.stderr_tail}"
    assert [c.epoch for c in trial.train.checkpoints] == ([] if settings == "adam" else [1, 2])
    assert trial.train.threads == trial.test.threads == THREADS[settings]
    start = np.load(inputs["initial_weights"])
    for key, values in right.items():
        # relative to how far training moved the array, which is where engines could differ
        moved = np.abs(values - start[key]).max()
        np.testing.assert_allclose(found[key], values, atol=1e-3 * moved, rtol=0, err_msg=key)
    losses = [epoch.loss for epoch in trial.train.epochs]
    np.testing.assert_allclose(losses, [e.loss for e in reference.train.epochs], rtol=1e-4)
    assert trial.correct == reference.correct


@pytest.mark.parametrize("name", ENGINES)
def test_engine_refuses_wrong_usage_in_one_line(name, tmp_path):
    engine = ENGINES[name]
    job = tmp_path / "job.json"
    job.write_text(json.dumps({"protocol": 1, "phase": "train"}), encoding="utf-8")
    for arguments in (["train"], ["fly", "--job", str(job)], ["train", "--job", str(job)]):
        ended = subprocess.run([*engine.command, *arguments], capture_output=True, text=True)
        assert ended.returncode == 2
        assert len(ended.stderr.strip().splitlines()) == 1
