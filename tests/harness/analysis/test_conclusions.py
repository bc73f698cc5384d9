import math
from dataclasses import replace

import pytest

from harness.analysis.analysis import analyze
from harness.analysis.conclusions import conclusions, sentence
from harness.records.manifest import Rule


def told(make_run, seconds, **options):
    return conclusions(analyze(make_run(seconds, **options)))


def test_a_large_difference_is_told_in_times(make_run):
    first = told(make_run, {"myad": 1.0, "tensorflow": 400.0})[0]
    assert (
        first
        == "myad trains 398 times faster than tensorflow (95 % interval 390 to 407, 10 blocks)."
    )


def test_the_other_way_round_it_is_slower_by_the_same_factor(make_run):
    first = told(make_run, {"myad": 400.0, "tensorflow": 1.0})[0]
    assert first.startswith(
        "myad trains 402 times slower than tensorflow (95 % interval 393 to 410, 10 blocks)."
    )


def test_a_small_difference_is_told_in_per_cent(make_run):
    first = told(make_run, {"myad": 0.9, "tensorflow": 1.0})[0]
    assert first.startswith("myad trains in 9.6")
    assert " % less time than tensorflow (95 % interval " in first


def test_no_difference_is_told_with_its_ratio(make_run):
    equal = told(make_run, {"myad": 1.0, "tensorflow": 1.0}, noise=0.005)[0]
    assert equal.startswith("myad against tensorflow, training time: equivalent, ratio 1.00")
    unclear = told(make_run, {"myad": 1.0, "tensorflow": 1.0}, noise=0.2, name="b")[0]
    assert "training time: inconclusive, ratio" in unclear


def test_what_is_not_primary_is_exploratory_and_gets_no_word(make_run):
    texts = told(make_run, {"myad": 1.0, "tensorflow": 9.0})
    assert [t for t in texts if "memory" in t] == [
        "myad against tensorflow, peak memory: exploratory, ratio 0.0500 "
        "(95 % interval 0.0500 to 0.0500, 10 blocks)."
    ]
    loop = next(t for t in texts if "training loop" in t)
    assert loop.startswith("myad against tensorflow, training loop: exploratory, ratio 0.1")
    assert "by the engines' own clocks" in loop


def test_primary_memory_is_never_called_faster(make_run):
    rule = Rule(baseline="tensorflow", primary=["peak_rss_bytes"])
    assert told(make_run, {"myad": 1.0, "tensorflow": 9.0}, rule=rule)[-2] == (
        "myad needs 20.0 times less memory than tensorflow (95 % interval 20.0 to 20.0, 10 blocks)."
    )


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        (20.0, "b needs 20.0 times the memory of a"),
        (1.1, "b needs 10.0 % more memory than a"),
        (0.9, "b needs 10.0 % less memory than a"),
        (0.25, "b needs 4.00 times less memory than a"),
    ],
)
def test_memory_in_words(make_run, ratio, words):
    rule = Rule(baseline="a", primary=["peak_rss_bytes"])
    cell = analyze(make_run({"a": 1.0, "b": 1.0}, rule=rule)).comparisons["b", "a"][
        "peak_rss_bytes"
    ]
    mean = math.log(ratio)
    member = replace(cell.decided.member, mean=mean, interval=(mean - 0.01, mean + 0.01))
    cell = replace(cell, decided=replace(cell.decided, word=None, member=member))
    assert sentence(cell).startswith(words)


def test_a_missing_block_is_told(make_run):
    failed = {f"{b}-myad": "signal" for b in range(1)}
    texts = told(make_run, {"myad": 1.0, "tensorflow": 2.0}, blocks=1, fail=failed)
    assert texts[0] == (
        "myad against tensorflow, training time: no ratio, "
        "1 of 1 trials of myad failed, more than 1 in 10."
    )
    assert texts[-1] == "myad against tensorflow, accuracy: no block in which both were measured."


def test_a_difference_in_accuracy_beyond_the_margin_is_called_different(make_run):
    from harness.analysis.conclusions import accuracy_sentence
    from harness.stats import accuracy_difference

    analysis = analyze(make_run())
    far = accuracy_difference([0.95, 0.951], [0.90, 0.901], images=10_000)
    changed = replace(analysis, accuracies={("myad", "tensorflow"): far})
    text = accuracy_sentence("myad", "tensorflow", changed)
    assert text.startswith("myad against tensorflow, accuracy: different, difference +5.00 points")
