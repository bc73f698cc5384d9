"""The doctor's findings and the comparison of a program with itself."""

import contextlib
import json

import numpy as np
import pytest

from harness import cli
from harness.machine import host
from harness.run import aa, doctor, simulate


def test_every_finding_has_an_answer_and_bad_ones_have_advice(home):
    findings = doctor.examine(home / "results")
    assert {f.name for f in findings} >= {"clock", "lock", "cgroup", "governor", "quiet"}
    for finding in findings:
        assert finding.answer
        assert finding.ok or finding.advice


BAD = {
    "governor": (host, "governor", lambda: "powersave", doctor._governor, "cpupower"),
    "turbo": (host, "turbo", lambda: True, doctor._turbo, "cpufreq/boost"),
    "memory": (doctor, "MIN_FREE_MEMORY", 1 << 60, doctor._free_memory, "close other programs"),
    "lock": (doctor.lock, "holder", lambda: "me", lambda: doctor._lock(True), "--wait"),
}


@pytest.mark.parametrize(("place", "name", "value", "check", "advice"), BAD.values(), ids=BAD)
def test_unfit_machine_gets_advice(monkeypatch, place, name, value, check, advice):
    monkeypatch.setattr(place, name, value)
    finding = check()
    assert not finding.ok
    assert advice in finding.advice


def test_doctor_names_the_version_of_the_memory_group(monkeypatch, memory_group):
    finding = doctor._cgroup()
    version = memory_group.version
    assert finding.answer.startswith(f"{version.name}, a group per process")
    assert version.peak in finding.answer
    monkeypatch.setattr(doctor.cgroup, "fresh_group", contextlib.nullcontext)
    assert "no memory group" in doctor._cgroup().answer
    assert doctor._cgroup().ok, "only engines of several processes need one"


def test_claim_is_the_half_width_of_ten_repeats(monkeypatch):
    walls = iter([1.0, 1.1, 1.0, 1.0, 1.1, 1.0])
    monkeypatch.setattr(aa, "_measure", lambda folder: next(walls))
    seen = []
    found = aa.compare_with_itself(0.0, on_block=seen.append)
    assert (found.blocks, seen) == (3, [1, 2, 3])
    # log-ratios are ±log 1.1 and 0 in some order, whichever engine came first:
    # their spread gives t·sd/√10 with t = 2.262 for 9 degrees of freedom
    assert 0.03 < found.claim < 0.15
    assert found.median_s == pytest.approx(1.0)


def test_equal_walls_support_any_claim(monkeypatch):
    monkeypatch.setattr(aa, "_measure", lambda folder: 2.0)
    found = aa.compare_with_itself(0.0)
    assert (found.ratio, found.claim) == (1.0, 0.0)


def test_whole_runs_of_equal_engines_are_decided_and_counted(monkeypatch):
    rng, seen = np.random.default_rng(1), []
    monkeypatch.setattr(aa, "_measure", lambda folder: float(np.exp(0.02 * rng.standard_normal())))
    found = aa.equal_runs(3, on_run=seen.append)
    assert (found.runs, found.wrong, seen) == (3, 0, [1, 2, 3])
    assert 0.02 < found.widest < 0.08


def test_a_machine_that_favours_a_name_is_found_out(monkeypatch):
    """Every second process is slower: with five engines of two processes, testing is."""
    rng, count = np.random.default_rng(1), iter(range(10**6))

    def measure(folder):
        return (1.3 if next(count) % 10 < 2 else 1.0) * float(np.exp(0.01 * rng.standard_normal()))

    monkeypatch.setattr(aa, "_measure", measure)
    plan = simulate.schedule.plan
    fixed = lambda engines, **how: sorted(  # noqa: E731
        plan(engines, **how), key=lambda p: (p.block, p.engine)
    )
    monkeypatch.setattr(simulate.schedule, "plan", fixed)
    assert aa.equal_runs(1).wrong == 1


def test_program_is_really_measured(tmp_path):
    assert aa._measure(tmp_path) > 0.01


def test_command_prints_json(home, capsys):
    code = cli.main(["doctor", "--seconds", "0", "--format", "json"])
    told = json.loads(capsys.readouterr().out)
    assert told["self_comparison"] is None
    assert code == (0 if all(finding["ok"] for finding in told["findings"]) else 1)
