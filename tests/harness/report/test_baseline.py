"""The run that CI's gate compares with."""

import re
from pathlib import Path

from harness.analysis.analysis import analyze

BASELINE = Path(__file__).parents[3] / ".ci" / "baseline"


def test_it_can_be_read_and_is_whole():
    analysis = analyze(BASELINE)
    assert analysis.run.problems == []
    assert analysis.valid_blocks == analysis.run.manifest.repeats >= 5
    assert {"myad", "tensorflow"} <= set(analysis.engines)


def test_it_names_no_place_of_the_machine_it_was_made_on():
    for name in ("manifest.json", "trials.jsonl"):
        assert not re.search(r'"/(home|root|tmp|work|Users)', (BASELINE / name).read_text())
