"""The doctor's findings and the comparison of a program with itself."""

import contextlib
import json

import pytest

from harness import cli
from harness.machine import host
from harness.run import aa, doctor


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


def test_program_is_really_measured(tmp_path):
    assert aa._measure(tmp_path) > 0.01


def test_command_prints_json(home, capsys):
    code = cli.main(["doctor", "--seconds", "0", "--format", "json"])
    told = json.loads(capsys.readouterr().out)
    assert told["self_comparison"] is None
    assert code == (0 if all(finding["ok"] for finding in told["findings"]) else 1)
