"""The skeleton: which phases an engine reports, in what order, and what its methods are given."""

import json
from pathlib import Path

import pytest

from harness.contract import EXIT_UNSUPPORTED, Skeleton, Unsupported

LAYERS = [{"type": "flatten", "output_shape": [4]}]
CALLS: list[str] = []
TRAINING = {"optimizer": "sgd", "learning_rate": 1, "epochs": 2, "batch_size": 8}


class Recorder(Skeleton):
    """An engine that does nothing and writes down what it is asked for."""

    def imports(self):
        CALLS.append("imports")

    def configure(self):
        CALLS.append("configure")

    def read_images(self, path):
        CALLS.append(f"images {path}")
        return [1, 2, 3]

    def read_labels(self, path):
        CALLS.append(f"labels {path}")
        return [0, 0, 0]

    def read_order(self, path):
        CALLS.append(f"order {path}")
        return ["first", "second"]

    def build(self, weights):
        CALLS.append(f"build {weights}")

    def build_training(self):
        CALLS.append("build_training")

    def build_testing(self):
        CALLS.append("build_testing")

    def epoch(self, number, order):
        CALLS.append(f"epoch {number} {order}")
        return 1 / number

    def classify(self):
        CALLS.append("classify")
        return "classes"

    def write_weights(self, path):
        CALLS.append(f"write {path}")

    def write_predictions(self, path, classes):
        CALLS.append(f"write {classes} {path}")

    def facts(self):
        return {"parameters": 4, "layers": ["flatten"], "dtype": "float32", "versions": {}}


class Newer(Recorder):
    """The same, of protocol 2."""

    protocol = 2

    def read_rates(self, path):
        CALLS.append(f"rates {path}")
        return ["fast", "slow"]

    def epoch(self, number, order):
        return super().epoch(number, f"{order} {self.rates[number - 1]}")

    def write_weights(self, path):
        super().write_weights(Path(path).name)
        Path(path).write_text(f"after {CALLS[-2]}")


class Compiling(Recorder):
    """The same, with a phase `compile`."""

    def compile_training(self):
        CALLS.append("compile_training")

    def compile_testing(self):
        CALLS.append("compile_testing")


class Replaced(Compiling):
    """An engine that finds it cannot do the work and hands it over."""

    def configure(self):
        return Recorder(self.job, self.report)


def run(engine, folder, phase="train", order=None, **more):
    """Run the engine as a program; returns its calls and the lines of its report."""
    job = {
        "protocol": engine.protocol,
        "phase": phase,
        "nonce": "9f0c",
        "threads": 2,
        "workload": {
            "name": "tiny",
            "model": {"input_shape": [2, 2, 1], "classes": 4, "layers": LAYERS},
            "training": TRAINING,
            "testing": {"batch_size": 3},
        },
        "data": {
            "images": "x",
            "labels": "y" if phase == "train" else None,
            "order": order,
            "learning_rates": more.pop("rates", None),
        },
        "initial_weights": "w0",
        "weights": "w1",
        "predictions": "p",
        "report": str(folder / "report.jsonl"),
        **more,
    }
    CALLS.clear()
    (folder / "job.json").write_text(json.dumps(job))
    engine.main([phase, "--job", str(folder / "job.json")])
    lines = (folder / "report.jsonl").read_text().splitlines()
    return CALLS, [json.loads(line) for line in lines]


def phases(lines):
    return [line["name"] for line in lines if line["event"] == "phase"]


def test_training_goes_through_its_phases(tmp_path):
    calls, lines = run(Recorder, tmp_path)
    assert calls == [
        *("imports", "configure", "images x", "labels y", "build w0", "build_training"),
        *("epoch 1 None", "epoch 2 None", "write w1"),
    ]
    assert phases(lines) == ["import", "load", "build", "train", "save"]
    epochs = [line for line in lines if line["event"] == "epoch"]
    assert [(e["epoch"], e["loss"], e["examples"]) for e in epochs] == [(1, 1.0, 3), (2, 0.5, 3)]
    done = lines[-1]
    assert (done["event"], done["batch_size"], done["threads"]) == ("done", 8, 2)
    assert (done["parameters"], done["nonce"]) == (4, "9f0c")


def test_testing_goes_through_its_phases(tmp_path):
    calls, lines = run(Compiling, tmp_path, "test")
    assert calls == [
        *("imports", "configure", "images x", "build w1", "build_testing", "compile_testing"),
        *("classify", "write classes p"),
    ]
    assert phases(lines) == ["import", "load", "build", "compile", "test", "save"]
    assert lines[-1]["batch_size"] == 3


def test_each_epoch_gets_its_order(tmp_path):
    calls, _ = run(Recorder, tmp_path, order="o")
    assert calls[3:5] == ["labels y", "order o"]
    assert calls[-3:-1] == ["epoch 1 first", "epoch 2 second"]


def test_each_epoch_gets_its_rates_and_leaves_its_weights(tmp_path):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    calls, _ = run(
        Newer, tmp_path, rates="r", checkpoints=str(folder), weights=str(tmp_path / "w1")
    )
    assert calls[3:5] == ["labels y", "rates r"]
    assert calls[-5:] == [
        *("epoch 1 None fast", "write unfinished.npz"),
        *("epoch 2 None slow", "write unfinished.npz", "write w1"),
    ]
    left = {path.name: path.read_text() for path in folder.iterdir()}
    assert left == {"1.npz": "after epoch 1 None fast", "2.npz": "after epoch 2 None slow"}


def test_compiling_is_a_phase_where_there_is_any(tmp_path):
    calls, lines = run(Compiling, tmp_path)
    assert phases(lines) == ["import", "load", "build", "compile", "train", "save"]
    assert calls.index("compile_training") == calls.index("build_training") + 1


def test_another_engine_may_do_the_rest(tmp_path):
    calls, lines = run(Replaced, tmp_path)
    assert phases(lines) == ["import", "load", "build", "train", "save"]
    assert "compile_training" not in calls


def test_facts_may_tell_the_threads(tmp_path):
    class Telling(Recorder):
        def facts(self):
            return {**super().facts(), "threads": 1}

    assert run(Telling, tmp_path)[1][-1]["threads"] == 1


def test_a_workload_is_refused_while_building(tmp_path, capsys):
    class Refusing(Recorder):
        def build(self, weights):
            raise Unsupported("layer 0 ('flatten')")

    with pytest.raises(SystemExit) as caught:
        run(Refusing, tmp_path)
    assert caught.value.code == EXIT_UNSUPPORTED
    assert capsys.readouterr().err == "unsupported: layer 0 ('flatten')\n"
