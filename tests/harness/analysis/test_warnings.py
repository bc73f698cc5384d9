"""Each warning with the number that caused it, and its absence where nothing is wrong."""

import json
import re

import numpy as np
import pytest

from harness.analysis.analysis import analyze
from harness.analysis.warnings import verification_sentence, warnings


def warned(make_run, *arguments, **options):
    return warnings(analyze(make_run(*arguments, **options)))


def edit(folder, change):
    """Apply `change` to every record, as a dict, in place."""
    path = folder / "trials.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        change(line)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return warnings(analyze(folder))


def test_a_calm_run_has_none(make_run):
    assert warned(make_run, noise=0.01) == []


def test_failures_by_outcome(make_run):
    failed = {"1-myad": "timeout", "2-myad": "timeout", "3-myad": "signal"}
    assert "3 of 10 trials of myad failed: 1 signal, 2 timeout." in warned(make_run, fail=failed)


def test_an_incomplete_run(make_run):
    assert "The run is not complete: 12 of 20 trials finished." in warned(make_run, stop=12)


@pytest.mark.parametrize(("blocks", "reach"), [(2, "36"), (5, "1.9")])
def test_too_few_blocks_for_the_family(make_run, blocks, reach):
    # t(1 - 0.05/8, n - 1)/√n of four comparisons: 50.9/√2 and 4.31/√5
    text = (
        f"{blocks} blocks for 4 comparisons: only a difference of {reach} standard deviations of "
        "the blocks' ratios can be shown."
    )
    assert text in warned(make_run, blocks=blocks)


def test_six_blocks_are_enough(make_run):
    assert not any("standard deviations" in text for text in warned(make_run, blocks=6))


def test_engines_that_were_not_verified(make_run):
    text = "The engines were not verified to do the same work before this run."
    assert text in warned(make_run, verification=None)
    assert text not in warned(make_run, name="verified")


def finding(ok, deviation, reason=""):
    return {
        "engine": "myad",
        "check": "order",
        "ok": ok,
        "deviation": deviation,
        "tolerance": 1e-4,
        "reason": reason,
    }


def test_engines_that_were_found_to_do_other_work(make_run):
    wrong = finding(False, 0.2, "another order of images")
    found = {"ok": False, "reference": "myad-eager", "findings": [wrong]}
    text = (
        "Verification before this run found different work: myad, order: another order of images."
    )
    assert text in warned(make_run, verification=found)


def test_what_was_verified_is_told_with_its_largest_deviation(make_run):
    checks = [finding(True, 1e-7), finding(True, 3.4e-7)]
    found = {"ok": True, "reference": "myad-eager", "findings": checks}
    analysis = analyze(make_run({"myad": 0.4}, verification=found))
    assert verification_sentence(analysis) == (
        "Before the run the engines were verified to do the same work as myad-eager: 2 checks, "
        "largest relative deviation 3.4e-07 (myad, order), tolerance 0.0001."
    )
    assert not any("erif" in text for text in warnings(analysis))


def test_engines_that_were_left_out_of_the_verification_are_named(make_run):
    found = {"ok": True, "reference": "myad-eager", "findings": [finding(True, 1e-7)]}
    text = "Not verified to do the same work before this run: tensorflow."
    assert text in warned(make_run, verification=found)


def test_a_sandbox_is_told_of(make_run):
    assert "Every process ran in a sandbox (bubblewrap)" in "".join(
        warned(make_run, sandbox="bubblewrap")
    )


def test_disturbed_trials_and_the_verdict_that_hangs_on_them(make_run):
    slow = {"a": [1.0] * 9 + [9.0], "b": [1.1] * 10}
    texts = warned(make_run, slow, noise=0.002, disturbed=("9-a",))
    assert texts[0] == "1 of 20 valid trials were disturbed by other work."
    expected = "a against b, training time: inconclusive with disturbed trials, faster without"
    assert any(text.startswith(expected) for text in texts)


def test_disturbed_trials_that_change_nothing_are_only_counted(make_run):
    texts = warned(make_run, noise=0.01, disturbed=("9-myad",))
    assert texts == ["1 of 20 valid trials were disturbed by other work."]


def test_a_slow_outlier_with_its_distance(make_run):
    texts = warned(make_run, {"a": [1.0] * 9 + [1.38]}, noise=0.0)
    assert "a: the slowest training is 38 % above the median (1.38 s against 1.00 s)." in texts


def test_drift(make_run):
    drifting = list(1.02 ** np.arange(10))
    texts = warned(make_run, {"a": drifting}, noise=0.002)
    assert any(
        re.match(r"a: total time drifts by \+(1\.9|2\.0)\d % per block", text) for text in texts
    )


def test_neighbours_that_agree(make_run):
    texts = warned(make_run, {"a": [1.0] * 6 + [1.08] * 12 + [1.0] * 6}, blocks=24, noise=0.001)
    assert any("neighbouring trials correlate by +0." in text for text in texts)


def test_a_slot_that_is_slower(make_run):
    folder = make_run(blocks=20, noise=0.005)

    def slow_first(line):
        if line["slot"] == 0:
            line["train"]["wall_s"] *= 1.2

    texts = edit(folder, slow_first)
    assert any(
        text.startswith("myad: total time in slot 1 of a block differs by") for text in texts
    )


def test_figures_that_are_bounds(make_run):
    def bounds(line):
        if line["engine"] == "myad":
            line["train"]["cpu_bound"] = "lower"
            line["test"]["peak_rss"]["bound"] = "sampled"

    texts = edit(make_run(), bounds)
    assert "myad: CPU time is a lower bound in 10 of 20 processes." in texts
    assert "myad: peak memory is not exact in 10 of 20 processes." in texts


def test_a_thread_limit_that_did_not_hold(make_run):
    def busy(line):
        if line["engine"] == "myad":
            line["train"]["cpu_ratio"] = 1.8

    assert "myad: used 1.80 cores, although 1 thread was the limit." in edit(make_run(), busy)


def test_a_torn_record(make_run):
    folder = make_run()
    path = folder / "trials.jsonl"
    path.write_text(path.read_text()[:-40])
    assert "The last record was cut off; `bench run --resume` does its work again." in warnings(
        analyze(folder)
    )
