"""The workflow and .ci/run name make targets and files that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WORKFLOW = ROOT / ".github/workflows/ci.yml"
PLACES = (WORKFLOW, ROOT / ".ci/run")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def test_workflow_has_the_jobs_and_is_indented_by_twos():
    text = WORKFLOW.read_text(encoding="utf-8")
    jobs = re.findall(r"^  ([a-z-]+):$", text.partition("\njobs:\n")[2], re.MULTILINE)
    assert jobs == ["linux", "newest", "lowest", "wheel", "other-systems"]
    assert "\t" not in text
    assert all((len(line) - len(line.lstrip(" "))) % 2 == 0 for line in text.splitlines())


@pytest.mark.parametrize("place", PLACES, ids=lambda path: path.name)
def test_make_targets_exist(place):
    named = re.findall(r"(?:^|run: )make ([a-z-]+)", place.read_text("utf-8"), re.MULTILINE)
    assert named
    for target in named:
        assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), target


@pytest.mark.parametrize("place", PLACES, ids=lambda path: path.name)
def test_scripts_and_tests_exist(place):
    named = re.findall(r"(?:\.ci|tests)/[\w./-]*\w", place.read_text("utf-8"))
    assert named
    for name in named:
        assert (ROOT / name).exists(), name


def test_every_phony_target_is_a_rule():
    phony = re.search(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)
    assert phony is not None
    for target in phony[1].split():
        assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), target
