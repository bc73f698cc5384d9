"""The engine myad where llvmlite cannot be imported: it trains eagerly, and says so."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harness.workload import start
from harness.workload.format import parse
from harness.workload.shapes import resolve

ENGINE = Path(__file__).parents[2] / "engines" / "engine_myad.py"
WORKLOAD = {
    "name": "tiny",
    "model": {
        "layers": [{"type": "flatten"}, {"type": "dense", "units": 3, "activation": "softmax"}]
    },
    "data": {"dataset": "noise"},
    "training": {"optimizer": "sgd", "learning_rate": 0.1, "epochs": 2, "batch_size": 4},
}
# An import of llvmlite fails as it does where it is not installed.
WITHOUT_LLVMLITE = "import runpy, sys; sys.modules['llvmlite'] = None; sys.argv = sys.argv[1:]; "
WITHOUT_LLVMLITE += "runpy.run_path(sys.argv[0], run_name='__main__')"


@pytest.fixture
def job(tmp_path):
    """The job of either process on 10 images of noise, with everything that it reads."""
    rng = np.random.default_rng(4)
    workload = resolve(parse(WORKLOAD).document(), (3, 2, 1), 3)
    np.save(tmp_path / "x.npy", rng.integers(0, 256, (10, 3, 2, 1), dtype=np.uint8))
    np.save(tmp_path / "y.npy", rng.integers(0, 3, 10, dtype=np.uint8))
    start.save(tmp_path / "w0.npz", start.initial_weights(workload["model"], 1, "float32"))
    return {
        "protocol": 1,
        "nonce": "n",
        "workload": workload,
        "data": {"images": str(tmp_path / "x.npy"), "labels": str(tmp_path / "y.npy")},
        "initial_weights": str(tmp_path / "w0.npz"),
        "weights": str(tmp_path / "w1.npz"),
        "predictions": str(tmp_path / "p.npy"),
    }


def run(job, folder, phase):
    """The report's lines and what the engine said on standard error."""
    path, report = folder / f"{phase}.json", folder / f"{phase}.jsonl"
    path.write_text(json.dumps({**job, "phase": phase, "report": str(report)}))
    command = [sys.executable, "-c", WITHOUT_LLVMLITE, str(ENGINE), phase, "--job", str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return [json.loads(line) for line in report.read_text().splitlines()], ended.stderr


def test_without_llvmlite_the_engine_trains_and_tests_eagerly(job, tmp_path):
    lines, said = run(job, tmp_path, "train")
    names = [line["name"] for line in lines if line["event"] == "phase"]
    assert names == ["import", "load", "build", "train", "save"]
    assert [line["epoch"] for line in lines if line["event"] == "epoch"] == [1, 2]
    assert "llvmlite is not usable here" in said
    assert said.rstrip().endswith("Training eagerly.")
    lines, _ = run(job, tmp_path, "test")
    names = [line["name"] for line in lines if line["event"] == "phase"]
    assert names == ["import", "load", "build", "test", "save"]
    assert lines[-1]["event"] == "done"
    assert np.load(tmp_path / "p.npy").shape == (10,)
