"""`bench verify` as a command, and the short form that comes before a run."""

import json
import shlex
import sys
from pathlib import Path

import pytest

from harness.cli import main
from harness.data.load import load as load_dataset
from harness.errors import UsageError
from harness.trial.engines import parse_command
from harness.verify import request as verification
from harness.verify.request import Different, verify_run
from harness.workload import shapes
from harness.workload.format import load

FAKE = Path(__file__).parents[2] / "fakes" / "numpy_engine.py"


def command(bug: str = "") -> str:
    """The NumPy engine as a `--command` text."""
    option = ["--bug", bug] if bug else []
    return f"fake={shlex.join([sys.executable, '-P', str(FAKE), *option])}"


@pytest.fixture
def run(home):
    """What a run of the tiny workload gives to the verification before it."""
    workload = load(home / "tiny.toml")
    dataset = load_dataset("tiny")
    return shapes.resolve(workload.document(), dataset.input_shape, dataset.classes), dataset


def test_the_command_prints_findings_as_json(home, capsys):
    options = ["--engines", "fake", "--command", command(), "--steps", "5", "--format", "json"]
    code = main(["verify", "--preset", "tiny.toml", *options])
    (found,) = json.loads(capsys.readouterr().out)
    assert code == 0
    assert found["ok"]
    assert found["reference"] == "myad-eager"
    assert {row["check"] for row in found["findings"]} == {
        "gradient",
        "last batch",
        "order",
        "steps",
        "float64",
        "losses",
        "predictions",
    }


def test_the_command_names_a_bug_and_exits_1(home, capsys):
    options = ["--engines", "fake", "--command", command("drop"), "--steps", "3"]
    assert main(["verify", "--preset", "tiny.toml", *options]) == 1
    out = capsys.readouterr().out
    assert "FAIL fake  last batch" in out
    assert "the short last batch was dropped" in out


def test_an_unknown_engine_or_preset_is_wrong_usage(home, capsys):
    assert main(["verify", "--engines", "fast"]) == 2
    assert main(["verify", "--preset", "papr"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("bench: no engine 'fast'; allowed: ")
    assert lines[1].startswith("bench: workload: no preset 'papr'; allowed: ")


def test_a_run_of_honest_engines_goes_on(run):
    found = verify_run(*run, [parse_command(command())])
    assert found["ok"]
    assert found["steps"] is None


def test_a_run_with_an_engine_that_does_other_work_is_refused(run):
    with pytest.raises(Different, match=r"'fake' does not do the same work: order: 1\.\w+ is "):
        verify_run(*run, [parse_command(command("backwards"))])


def test_a_run_with_an_engine_that_cannot_do_it_is_refused_by_layer(run):
    workload, dataset = run
    layers = workload["model"]["layers"]
    tanh = {"type": "activation", "activation": "tanh"}
    tanh["output_shape"] = workload["model"]["input_shape"]
    workload["model"]["layers"] = [tanh, *layers]
    with pytest.raises(
        UsageError, match=r"'fake' cannot run workload 'tiny': layer 0 \('activation'\)"
    ):
        verify_run(workload, dataset, [parse_command(command())])


def test_an_engine_that_crashes_is_left_to_the_run(run):
    crashing = parse_command(f"fake={shlex.join([sys.executable, '-c', '1/0'])}")
    found = verify_run(*run, [crashing])
    assert not found["ok"]
    assert "ZeroDivisionError" in found["findings"][0]["reason"]


def test_all_means_every_preset():
    assert verification.presets("all") == verification.preset_names()
    assert verification.presets("paper") == ["paper"]
