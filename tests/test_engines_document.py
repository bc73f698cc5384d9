"""The engine that docs/engines.md teaches is complete: it is verified against the reference."""

import re
import sys
from pathlib import Path

import numpy as np

from harness.data.cache import DataSet
from harness.trial.engines import Engine, find
from harness.verify.verifier import Verifier
from harness.workload import shapes
from harness.workload.format import parse

DOCUMENT = Path(__file__).parent.parent / "docs" / "engines.md"
WORKLOAD = {
    "name": "regression",
    "model": {
        "layers": [{"type": "flatten"}, {"type": "dense", "units": 3, "activation": "softmax"}]
    },
    "data": {"dataset": "noise"},
    "training": {
        "optimizer": "sgd",
        "learning_rate": 0.1,
        "epochs": 1,
        "batch_size": 4,
        "shuffle": True,
    },
}


def test_the_documents_engine_does_the_same_work_as_the_reference(tmp_path):
    rng = np.random.default_rng(2)
    code = re.search(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.S)
    assert code is not None
    (tmp_path / "engine_mine.py").write_text(code[1], encoding="utf-8")
    paths, counts = {}, {"train": 30, "test": 9}
    for part, count in counts.items():
        paths[f"{part}_images"] = tmp_path / f"{part}_images.npy"
        paths[f"{part}_labels"] = tmp_path / f"{part}_labels.npy"
        np.save(paths[f"{part}_images"], rng.integers(0, 256, (count, 5, 4, 1), dtype=np.uint8))
        np.save(paths[f"{part}_labels"], rng.integers(0, 3, count, dtype=np.uint8))
    dataset = DataSet("noise", (5, 4, 1), 3, paths, {}, counts)
    workload = shapes.resolve(parse(WORKLOAD).document(), (5, 4, 1), 3)
    command = (sys.executable, "-P", str(tmp_path / "engine_mine.py"))
    verifier = Verifier(workload, dataset, find()["myad-eager"], tmp_path / "verify", steps=7)
    findings = verifier.verify([Engine("mine", command, "file")])
    assert [f.reason for f in findings if not f.ok] == []
    assert len(findings) == 7


def test_every_engine_that_is_found_is_documented():
    text = DOCUMENT.read_text(encoding="utf-8")
    assert [name for name in find() if f"| `{name}` |" not in text] == []
