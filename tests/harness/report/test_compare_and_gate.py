"""`bench compare` and `bench gate`, on synthetic runs."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from harness.analysis.analysis import analyze
from harness.analysis.gate import Answer, judge
from harness.analysis.metrics import BY_KEY
from harness.analysis.two_runs import Change, differences
from harness.cli import main
from harness.records.store import read_run
from harness.stats import decide, ratio_of_samples

PAIR = {"myad": 0.4, "tensorflow": 160.0}


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")


def run_pair(make_run, factor=1.0, noise=0.02, **new):
    """Two runs of their own noise; in the second `myad` takes `factor` times as long."""
    base = make_run(PAIR, name="base", seed=3, noise=noise)
    changed = {**PAIR, "myad": factor * PAIR["myad"]}
    return str(base), str(make_run(changed, name="new", seed=4, noise=noise, **new))


def test_a_planted_slow_down_of_ten_per_cent_is_a_regression(make_run, capsys):
    assert main(["gate", *run_pair(make_run, 1.10)]) == 1
    out = capsys.readouterr().out
    assert "myad, training time: regression, new/base 1.101" in out
    assert "tensorflow, training time: pass" in out


def test_the_same_program_twice_is_no_regression(make_run, capsys):
    assert main(["gate", *run_pair(make_run, noise=0.01)]) == 0
    assert "regression" not in capsys.readouterr().out


def test_a_against_a_is_called_a_regression_in_at_most_five_per_cent():
    rng, called, draws = np.random.default_rng(37), 0, 2000
    for _ in range(draws):
        a, b = np.exp(0.03 * rng.standard_normal((2, 10)))
        called += judge(change_of(a, b), 0.02).answer is Answer.REGRESSION
    assert called / draws <= 0.05  # in truth far fewer: the margin lies between


def change_of(new, base):
    ratio = ratio_of_samples(new, base)
    verdict = decide(ratio.interval)
    return Change("a", BY_KEY["train_wall_s"], False, 1.0, 1.0, 10, 10, ratio, verdict)


def test_noise_larger_than_the_margin_is_inconclusive(make_run, capsys):
    assert main(["gate", *run_pair(make_run, noise=0.2)]) == 4
    assert "inconclusive, new/base" in capsys.readouterr().out


def test_a_wider_margin_lets_a_slow_down_pass(make_run):
    assert main(["gate", *run_pair(make_run, 1.10), "--margin", "0.25"]) == 0


def test_the_ratio_of_engines_is_judged_without_seconds(make_run, capsys):
    base = make_run(PAIR, name="base", seed=3)
    twice = {name: 2 * seconds for name, seconds in PAIR.items()}  # a machine half as fast
    new = make_run(twice, name="new", seed=4, noise=0.005)
    pair = [str(base), str(new)]
    assert main(["gate", *pair]) == 1
    assert main(["gate", *pair, "--ratio", "myad/tensorflow", "--margin", "0.05"]) == 0
    assert "myad/tensorflow, training time: pass" in capsys.readouterr().out


def test_nothing_measured_exits_with_three(make_run, capsys):
    failed = {f"{b}-{e}": "exit_nonzero" for b in range(10) for e in PAIR}
    assert main(["gate", *run_pair(make_run, fail=failed)]) == 3
    assert "no engine with a valid trial in both" in capsys.readouterr().err


def test_too_many_failures_in_the_new_run_are_a_regression(make_run, capsys):
    failed = {"1-myad": "signal", "2-myad": "signal"}
    assert main(["gate", *run_pair(make_run, fail=failed)]) == 1
    assert "2 of 10 trials of myad failed in new." in capsys.readouterr().out


def test_too_many_failures_in_the_base_prove_nothing(make_run, capsys):
    failed = {"1-myad": "signal", "2-myad": "signal"}
    base = make_run(PAIR, name="base", seed=3, noise=0.005, fail=failed)
    new = make_run(PAIR, name="new", seed=4, noise=0.005)
    assert main(["gate", str(base), str(new)]) == 4
    assert "inconclusive, 2 of 10 trials of myad failed in base." in capsys.readouterr().out


def test_one_block_is_inconclusive(make_run):
    base = make_run(PAIR, blocks=1, name="base", seed=3)
    new = make_run(PAIR, blocks=1, name="new", seed=4)
    assert main(["gate", str(base), str(new)]) == 4


def test_accuracy_is_judged_when_asked_for(make_run, capsys):
    metric = ["--metric", "accuracy"]
    assert main(["gate", *run_pair(make_run), *metric]) == 0
    worse = make_run(PAIR, name="worse", accuracy=0.90)
    base = str(worse.parent / "base")
    assert main(["gate", base, str(worse), *metric]) == 1
    assert "tensorflow, accuracy: regression, new - base -1.3" in capsys.readouterr().out


def test_gate_as_json(make_run, capsys):
    assert main(["gate", *run_pair(make_run, 1.10), "--format", "json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["answer"] == "regression"
    assert document["checks"][0] == {
        "subject": "myad",
        "metric": "train_wall_s",
        "answer": "regression",
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--metric", "speed"], "--metric speed: allowed are train_wall_s, test_wall_s"),
        (["--engine", "torch"], "--engine torch: both runs hold myad, tensorflow."),
        (["--ratio", "a/b"], "--ratio a/b: both runs hold myad/tensorflow."),
        (["--margin", "-1"], "--margin -1: expected a share above 0"),
        (["--margin", "nan"], "--margin nan: expected a share above 0"),
        (["--engine", "myad", "--ratio", "myad/tensorflow"], "leave --engine out"),
        (["--ratio", "myad/tensorflow", "--metric", "accuracy"], "--metric accuracy: allowed"),
    ],
)
def test_wrong_usage_names_what_is_allowed(make_run, capsys, options, message):
    assert main(["gate", *run_pair(make_run), *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_compare_shows_changes_and_verdicts(make_run, capsys):
    assert main(["compare", *run_pair(make_run, 1.10)]) == 0
    out = capsys.readouterr().out
    lines = [line.split() for line in out.splitlines() if "Training time" in line]
    assert [line[-1] for line in lines] == ["slower", "inconclusive", "slower"]
    assert "Holm-corrected for" in out


def test_compare_as_json_equals_welchs_test(make_run, capsys):
    folders = run_pair(make_run, 1.10)
    assert main(["compare", *folders, "--format", "json"]) == 0
    first = json.loads(capsys.readouterr().out)["changes"][0]
    base, new = (analyze(Path(f)).summary("myad", "train_wall_s") for f in folders)
    theirs = stats.ttest_ind(np.log(new.values), np.log(base.values), equal_var=False)
    assert (first["subject"], first["metric"]) == ("myad", "train_wall_s")
    assert first["p"] == pytest.approx(theirs.pvalue, rel=1e-9)
    assert first["verdict"] == "slower"


UNLIKE = {
    "host.cpu": {"host": {"cpu": "Other CPU", "cores": 2, "memory_bytes": 8_000_000_000}},
    "threads": {"threads": 2},
    "cold": {"cold": True},
    "data.test_images": {"data": {"sha256": {"test_images": "abc"}}},
}


@pytest.mark.parametrize("field", UNLIKE)
def test_unlike_runs_are_refused_by_field_unless_it_is_allowed(make_run, capsys, field):
    folders = run_pair(make_run, **UNLIKE[field])
    assert main(["compare", *folders]) == 2
    error = capsys.readouterr().err
    assert f"the runs are not alike: {field}: " in error
    assert f"--allow {field}" in error
    assert main(["compare", *folders, "--allow", field.partition(".")[0]]) == 0
    assert f"allowed to differ: {field}" in capsys.readouterr().out


def test_another_workload_is_refused_by_setting(make_run):
    base = read_run(make_run(PAIR, name="base")).manifest
    workload = {**base.workload, "training": {**base.workload["training"], "batch_size": 32}}
    new = read_run(make_run(PAIR, name="new", workload=workload)).manifest
    assert list(differences(base, new)) == ["workload.training.batch_size"]


def test_a_few_kilobytes_of_memory_are_the_same_machine(make_run):
    base = read_run(make_run(PAIR, name="base")).manifest
    host = {**base.host, "memory_bytes": 8_000_000_000 - 40_960}
    assert differences(base, read_run(make_run(PAIR, name="new", host=host)).manifest) == {}


def test_what_else_differs_is_told(make_run, capsys):
    folders = run_pair(make_run, packages={"numpy": "2.5"}, versions={"python": "3.12"})
    main(["compare", *folders])
    out = capsys.readouterr().out
    assert "versions.python: 3.11 in base, 3.12 in new" in out
    assert "packages.numpy: 2.4 in base, 2.5 in new" in out


def test_engines_that_only_one_run_holds_are_left_out(make_run, capsys):
    base = make_run({**PAIR, "jax": 15.0}, name="base", seed=3)
    new = make_run(PAIR, name="new", seed=4)
    assert main(["compare", str(base), str(new), "--format", "json"]) == 0
    subjects = {c["subject"] for c in json.loads(capsys.readouterr().out)["changes"]}
    assert subjects == {"myad", "tensorflow", "myad/tensorflow"}


@pytest.mark.parametrize("columns", ["60", "80", "120"])
def test_no_line_of_a_comparison_is_wider_than_the_terminal(make_run, capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    main(["compare", *run_pair(make_run)])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= int(columns)
    assert not any("…" in line for line in lines)
