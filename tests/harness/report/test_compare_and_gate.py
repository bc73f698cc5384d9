"""`bench compare` and `bench gate`, on synthetic runs."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from harness.analysis.analysis import analyze
from harness.analysis.between import RunToRun, run_to_run
from harness.analysis.gate import Answer, judge
from harness.analysis.metrics import BY_KEY
from harness.analysis.two_runs import Change, differences
from harness.cli import main
from harness.records.manifest import Rule
from harness.records.store import read_run
from harness.stats.paired import NO_RATIO
from harness.stats.unpaired import between_runs, difference

PAIR = {"myad": 0.4, "tensorflow": 160.0}
KNOWN = ("--run-to-run", "1%")  # what these made runs differ by themselves is nothing


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")


def run_pair(make_run, factor=1.0, noise=0.02, **new):
    """Two runs of their own noise; in the second `myad` takes `factor` times as long."""
    base = make_run(PAIR, name="base", seed=3, noise=noise)
    changed = {**PAIR, "myad": factor * PAIR["myad"]}
    return str(base), str(make_run(changed, name="new", seed=4, noise=noise, **new))


def test_a_planted_slow_down_of_ten_per_cent_is_a_regression(make_run, capsys):
    assert main(["gate", *run_pair(make_run, 1.10), *KNOWN]) == 1
    out = capsys.readouterr().out
    assert "myad, training time: regression, new/base 1.101" in out
    assert "tensorflow, training time: inconclusive" in out  # 98 % of all four, not 95 % of one


def test_the_same_program_twice_is_no_regression(make_run, capsys):
    assert main(["gate", *run_pair(make_run, noise=0.003)]) == 0
    assert "regression" not in capsys.readouterr().out


def test_false_alarms_stay_within_two_in_a_hundred_pairs():
    """Runs differ by themselves by 3 %, more than the margin; three earlier ones tell of it."""
    rng, called, draws = np.random.default_rng(37), 0, 1000
    for _ in range(draws):
        alarms = []
        for _ in range(4):  # metrics and engines judged at once
            means = 0.03 * rng.standard_normal(5)
            runs = means[:, None] + 0.03 * rng.standard_normal((5, 10))
            spread = RunToRun(float(runs[:3].mean(axis=1).std(ddof=1)), 3, 2)
            found = judge(change_of(runs[4], runs[3], spread), 0.02, 4)
            alarms.append(found.answer is Answer.REGRESSION)
        called += any(alarms)
    assert called / draws <= 0.02


def test_a_large_regression_is_found_although_runs_differ():
    rng, found = np.random.default_rng(3), 0
    for _ in range(200):
        runs = 0.01 * rng.standard_normal((9, 1)) + 0.02 * rng.standard_normal((9, 10))
        spread = RunToRun(float(runs[:7].mean(axis=1).std(ddof=1)), 7, 6)
        change = change_of(runs[8] + np.log(1.25), runs[7], spread)
        found += judge(change, 0.02, 4).answer is Answer.REGRESSION
    assert found / 200 >= 0.95


def change_of(new, base, spread):
    error = between_runs(difference(new, base), spread.sd, spread.degrees)
    return Change(
        "a",
        BY_KEY["train_wall_s"],
        False,
        1.0,
        1.0,
        10,
        10,
        replace(NO_RATIO, ratio=1.0),
        None,
        error=error,
        spread=spread,
    )


def test_without_repeated_runs_a_slow_down_is_doubt_and_no_word(make_run, capsys):
    pair = run_pair(make_run, 1.10)
    assert main(["gate", *pair]) == 4
    out = capsys.readouterr().out
    assert "myad, training time: inconclusive, new/base 1.101" in out
    assert "how much runs differ by themselves is not known" in out
    assert main(["compare", *pair, "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {change["verdict"] for change in document["changes"]} == {None}
    assert document["run_to_run"].startswith("How much runs on this machine differ by themselves")


def test_repeated_runs_tell_how_much_runs_differ(make_run, capsys):
    """Base and three more runs of the same files: their means spread by their noise alone."""
    base, new = run_pair(make_run, 1.25)
    for number in range(3):
        make_run(PAIR, name=f"again{number}", seed=20 + number)
    make_run(PAIR, name="other", seed=30, packages={"numpy": "1.0"})  # repeats nothing
    make_run(PAIR, name="cut", seed=31, stop=4)  # not complete
    assert main(["gate", base, new, "--engine", "myad", "--metric", "train_wall_s"]) == 1
    capsys.readouterr()
    assert main(["compare", base, new, "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    first = document["changes"][0]
    means = [
        np.log(analyze(Path(base).parent / name).summary("myad", "train_wall_s").values).mean()
        for name in ("base", "again0", "again1", "again2")
    ]
    assert (first["repeated_runs"], first["verdict"]) == (4, "slower")
    assert first["run_to_run_sd"] == pytest.approx(float(np.std(means, ddof=1)))
    assert "4 repeated runs on this machine" in document["run_to_run"]


def test_spread_of_runs_by_hand():
    # two groups: 1 and 3 (mean 2), 10, 11 and 12 (mean 11): squares 2 + 2 on 1 + 2 degrees
    groups = [[1.0, 3.0], [10.0, 11.0, 12.0]]
    found = run_to_run(groups, lambda value: np.array([value]))
    assert (found.runs, found.degrees) == (5, 3)
    assert found.sd == pytest.approx(np.sqrt(4 / 3))
    assert run_to_run([], lambda value: np.array([value])) is None


def test_a_run_of_bench_ab_is_judged_by_its_own_blocks(make_run, capsys):
    rule = Rule(baseline="old")
    slower = make_run({"old": 1.0, "new": 1.1}, name="ab", rule=rule)
    assert main(["gate", str(slower)]) == 1
    assert "new/old, training time: regression, new/base 1.096" in capsys.readouterr().out
    same = make_run({"old": 1.0, "new": 1.0}, name="same", noise=0.003, rule=rule)
    assert main(["gate", str(same), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["answer"] == "pass"
    failed = {f"{b}-new": "signal" for b in range(3)}
    assert main(["gate", str(make_run({"old": 1.0, "new": 1.0}, name="f", fail=failed))]) == 1
    assert main(["gate", str(make_run(PAIR, name="two"))]) == 2
    assert "this one has myad, tensorflow; give two runs." in capsys.readouterr().err


def test_noise_larger_than_the_margin_is_inconclusive(make_run, capsys):
    assert main(["gate", *run_pair(make_run, noise=0.2)]) == 4
    assert "inconclusive, new/base" in capsys.readouterr().out


def test_a_wider_margin_lets_a_slow_down_pass(make_run):
    assert main(["gate", *run_pair(make_run, 1.10), *KNOWN, "--margin", "0.25"]) == 0


def test_the_ratio_of_engines_is_judged_without_seconds(make_run, capsys):
    base = make_run(PAIR, name="base", seed=3)
    twice = {name: 2 * seconds for name, seconds in PAIR.items()}  # a machine half as fast
    new = make_run(twice, name="new", seed=4, noise=0.005)
    pair = [str(base), str(new)]
    assert main(["gate", *pair, *KNOWN]) == 1
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
    assert main(["gate", *run_pair(make_run, 1.10), *KNOWN, "--format", "json"]) == 1
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
    assert main(["compare", *run_pair(make_run, 1.20), *KNOWN]) == 0
    out = capsys.readouterr().out
    lines = [line.split() for line in out.splitlines() if "Training time" in line]
    assert [line[-1] for line in lines] == ["slower", "inconclusive", "slower"]
    assert "95 % intervals that hold together for 9 primary changes" in out
    assert "Runs differ by 1.0 % by themselves, as stated by --run-to-run." in out


def test_compare_as_json_equals_welchs_test(make_run, capsys):
    folders = run_pair(make_run, 1.10)
    assert main(["compare", *folders, "--format", "json"]) == 0
    first = json.loads(capsys.readouterr().out)["changes"][0]
    base, new = (analyze(Path(f)).summary("myad", "train_wall_s") for f in folders)
    theirs = stats.ttest_ind(np.log(new.values), np.log(base.values), equal_var=False)
    assert (first["subject"], first["metric"]) == ("myad", "train_wall_s")
    assert first["p"] == pytest.approx(theirs.pvalue, rel=1e-9)
    ends = theirs.confidence_interval(0.95)
    assert first["interval"] == pytest.approx([np.exp(ends.low), np.exp(ends.high)])


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
