"""The contract: jobs are read strictly, reports are written as the harness reads them."""

import copy
import json
import subprocess
import sys

import pytest

from harness.contract import (
    EXIT_UNSUPPORTED,
    EXIT_USAGE,
    ContractError,
    Job,
    Report,
    Unsupported,
    run_engine,
)

JOB = {
    "protocol": 1,
    "phase": "train",
    "engine": "mine",
    "nonce": "9f0c",
    "seed": 3,
    "threads": 2,
    "workload": {
        "name": "tiny",
        "model": {
            "input_shape": [28, 28, 1],
            "classes": 10,
            "layers": [{"type": "conv2d", "kernel_size": [3, 3], "filters": 1}],
        },
        "training": {"optimizer": "sgd", "learning_rate": 1, "epochs": 3, "batch_size": 8},
        "testing": {"batch_size": 2},
    },
    "data": {"images": "/x.npy", "labels": "/y.npy", "order": None},
    "initial_weights": "/w0.npz",
    "weights": "/w.npz",
    "predictions": None,
    "report": "/report.jsonl",
}


def changed(path: str, value=None) -> dict:
    """The job with one field replaced, or removed where no value is given."""
    job = copy.deepcopy(JOB)
    *sections, name = path.split(".")
    part = job
    for section in sections:
        part = part[section]
    if value is None:
        del part[name]
    else:
        part[name] = value
    return job


def written(tmp_path, job) -> str:
    path = tmp_path / "job.json"
    path.write_text(json.dumps({**job, "report": str(tmp_path / "report.jsonl")}))
    return str(path)


def test_a_job_is_read_with_attributes_and_defaults():
    job = Job(copy.deepcopy(JOB))
    assert (job.phase, job.seed, job.threads) == ("train", 3, 2)
    assert job.workload.training.batch_size == 8
    assert (job.workload.training.momentum, job.workload.training.epsilon) == (0.0, 1e-7)
    assert job.workload.training.dtype == "float32"
    assert job.workload.model.input_shape == (28, 28, 1)
    (layer,) = job.workload.model.layers
    assert (layer.type, layer.kernel_size, layer["filters"]) == ("conv2d", (3, 3), 1)
    assert job.data.order is None


def test_a_missing_setting_of_a_layer_is_named():
    layer = Job(copy.deepcopy(JOB)).workload.model.layers[0]
    with pytest.raises(AttributeError, match="layer 'conv2d' has no 'units'; it has: type"):
        layer.units  # noqa: B018


@pytest.mark.parametrize(
    ("job", "message"),
    [
        (changed("nonce"), "job: job.nonce is missing."),
        (changed("protocol", 3), "job: protocol 3 is not spoken here; allowed: 1, 2."),
        (changed("phase", "fly"), "job: phase must be 'train' or 'test', not 'fly'."),
        (changed("phase", "test"), "job: a test job needs predictions."),
        (changed("initial_weights"), "job: a train job needs initial_weights."),
        (changed("data.labels"), "job: a train job needs data.labels."),
        (changed("threads", "2"), "job: job.threads must be int, not str."),
        (changed("threads", True), "job: job.threads must be int, not bool."),
        (changed("workload", 3), "job: job.workload must be dict, not int."),
        (changed("workload.training.epochs"), "job: workload.training.epochs is missing."),
        (
            changed("workload.training.shuffle", 1),
            "job: workload.training.shuffle must be bool, not int.",
        ),
        (
            changed("workload.model.layers", [{}]),
            "job: workload.model.layers[0] must be an object with a 'type'.",
        ),
        (
            changed("workload.model.input_shape", [28, 28]),
            "job: workload.model.input_shape must be [H, W, C].",
        ),
    ],
)
def test_a_bad_job_is_refused_in_one_line(job, message):
    with pytest.raises(ContractError) as caught:
        Job(job)
    assert str(caught.value) == message


def test_an_unreadable_job_file(tmp_path):
    (tmp_path / "job.json").write_text("{")
    with pytest.raises(ContractError, match=r"job: cannot read .*job\.json"):
        Job.read(tmp_path / "job.json")


def test_a_report_holds_phases_epochs_and_the_end(tmp_path):
    report = Report(tmp_path / "report.jsonl", "9f0c")
    with report.phase("train"):
        report.epoch(1, seconds=0.25, loss=0.5, examples=7)
    report.done(
        parameters=4, layers=["dense"], dtype="float32", batch_size=8, threads=1, versions={}
    )
    lines = [json.loads(line) for line in (tmp_path / "report.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["epoch", "phase", "done"]
    assert lines[0] == {"event": "epoch", "epoch": 1, "seconds": 0.25, "loss": 0.5, "examples": 7}
    assert lines[1]["name"] == "train"
    assert lines[1]["seconds"] > 0
    assert lines[2]["nonce"] == "9f0c"


def test_phases_are_known_flat_and_single(tmp_path):
    report = Report(tmp_path / "report.jsonl", "n")
    with (
        pytest.raises(ContractError, match="no phase 'nap'; allowed: import, load"),
        report.phase("nap"),
    ):
        pass
    with report.phase("load"), pytest.raises(ContractError, match="'build' inside phase 'load'"):
        report.phase("build").__enter__()
    with pytest.raises(ContractError, match="phase 'load' a second time"), report.phase("load"):
        pass


def test_run_engine_calls_the_phase_of_the_job(tmp_path):
    seen = []
    run_engine(
        train=lambda job, report: seen.append((job.engine, "train")),
        test=lambda job, report: seen.append((job.engine, "test")),
        argv=["train", "--job", written(tmp_path, JOB)],
    )
    assert seen == [("mine", "train")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "usage: train --job JOB.json"),
        (["fly", "--job", "x"], "usage:"),
        (["train", "--job", "/nowhere.json"], "job: cannot read /nowhere.json"),
        (["test", "--job", "JOB"], "job: asked to test, but the job says 'train'."),
    ],
)
def test_wrong_usage_exits_2_with_one_line(tmp_path, capsys, arguments, words):
    arguments = [written(tmp_path, JOB) if part == "JOB" else part for part in arguments]
    with pytest.raises(SystemExit) as caught:
        run_engine(train=lambda job, report: None, test=lambda job, report: None, argv=arguments)
    assert caught.value.code == EXIT_USAGE
    assert words in capsys.readouterr().err


def test_an_unsupported_workload_has_an_exit_code_of_its_own(tmp_path, capsys):
    def train(job, report):
        raise Unsupported("layer 0 ('conv2d')")

    with pytest.raises(SystemExit) as caught:
        run_engine(train=train, test=train, argv=["train", "--job", written(tmp_path, JOB)])
    assert caught.value.code == EXIT_UNSUPPORTED
    assert capsys.readouterr().err == "unsupported: layer 0 ('conv2d')\n"


def test_an_engine_of_protocol_1_is_never_asked_for_more(tmp_path, capsys):
    newer = written(tmp_path, changed("protocol", 2))
    with pytest.raises(SystemExit) as caught:
        run_engine(train=pytest.fail, test=pytest.fail, argv=["train", "--job", newer])
    assert caught.value.code == EXIT_UNSUPPORTED
    expected = "unsupported: job: protocol 2 is not spoken here; allowed: 1.\n"
    assert capsys.readouterr().err == expected
    seen = []
    run_engine(
        train=lambda job, report: seen.append((job.data.learning_rates, job.checkpoints)),
        test=pytest.fail,
        argv=["train", "--job", newer],
        protocol=2,
    )
    assert seen == [(None, None)]


def test_the_contract_imports_nothing_but_the_standard_library():
    code = "import sys, harness.contract; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    names = {name.partition(".")[0] for name in loaded.stdout.split()}
    assert not names & {"numpy", "pydantic", "typer", "psutil", "dataclasses", "asyncio"}
