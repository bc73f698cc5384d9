"""Witnesses of noise: differences of counters, the fixed rule, files of other machines."""

from pathlib import Path

import pytest

from harness.machine import noise
from harness.machine.noise import Snapshot, disturbances, energy_j, snapshot, witnesses
from harness.records.models import ProcessResult, Witnesses


def at(**changes):
    base = {
        "at": 0.0,
        "load": 0.1,
        "busy_s": 100.0,
        "steal_s": 1.0,
        "swapped_pages": 10,
        "throttled": 3,
        "pressure_s": {"cpu": 1.0, "memory": 0.0, "io": 2.0},
        "frequency_mhz": 3000.0,
        "own_cpu_s": 5.0,
        "energy_uj": {},
        "oom_kills": 0,
    }
    return Snapshot(**{**base, **changes})


def test_differences_leave_out_the_trial_and_the_harness():
    after = at(busy_s=112.0, own_cpu_s=5.5, steal_s=1.25, swapped_pages=12, throttled=3)
    seen = witnesses(at(), after, trial_cpu_s=10.0)
    assert seen.other_cpu_s == pytest.approx(1.5)
    assert (seen.steal_s, seen.swapped_pages, seen.throttled) == (0.25, 2, 0)


def test_what_is_not_told_stays_absent():
    blind = at(steal_s=None, swapped_pages=None, throttled=None, pressure_s={}, load=None)
    seen = witnesses(blind, blind, 0.0)
    assert (seen.steal_s, seen.swapped_pages, seen.throttled, seen.pressure_cpu_s) == (None,) * 4


RULE = {
    "steal": ({"steal_s": 0.05}, "the hypervisor took 0.05 s of 1.00 s"),
    "swap": ({"swapped_pages": 300}, "300 pages were swapped"),
    "throttle": ({"throttled": 1}, "throttled 1 times"),
    "others": ({"other_cpu_s": 0.2}, "other processes used 0.20 s CPU in 1.00 s"),
    "memory": ({"pressure_memory_s": 0.2}, "tasks waited 0.20 s for memory"),
    "disk": ({"pressure_io_s": 0.2}, "tasks waited 0.20 s for io"),
}


@pytest.mark.parametrize(("seen", "words"), RULE.values(), ids=RULE)
def test_rule_marks_a_disturbed_process_with_the_number(seen, words):
    result = ProcessResult(outcome="ok", wall_s=1.0, witnesses=Witnesses(**seen))
    (found,) = disturbances("train", result)
    assert found.startswith("train: ")
    assert words in found


def test_rule_counts_involuntary_switches():
    result = ProcessResult(outcome="ok", wall_s=2.0, involuntary_switches=401)
    assert disturbances("test", result) == ["test: 401 involuntary context switches in 2.00 s"]
    result.involuntary_switches = 400
    assert disturbances("test", result) == []
    result.involuntary_switches, result.threads_seen = 4000, 15
    assert disturbances("test", result) == [], "many threads take the core from each other"


def test_quiet_process_is_not_disturbed():
    quiet = Witnesses(other_cpu_s=0.05, steal_s=0.01, swapped_pages=0, throttled=0)
    assert disturbances("train", ProcessResult(outcome="ok", wall_s=1.0, witnesses=quiet)) == []
    assert disturbances("train", ProcessResult(outcome="not_started")) == []


def test_energy_counts_over_the_wrap_of_its_counter():
    before = at(energy_uj={"package": (9_000_000, 9_999_999)})
    after = at(energy_uj={"package": (1_000_000, 9_999_999)})
    assert energy_j(before, after) == pytest.approx(2.0)


def test_energy_is_never_guessed():
    assert energy_j(at(), at()) is None
    some = at(energy_uj={"package": (0, 10)})
    assert energy_j(some, at()) is None


def test_counters_of_files(tmp_path, monkeypatch):
    folder = tmp_path / "intel-rapl:0"
    folder.mkdir()
    (folder / "energy_uj").write_text("12\n")
    (folder / "max_energy_range_uj").write_text("99\n")
    (folder / "core_throttle_count").write_text("7\n")
    monkeypatch.setattr(noise, "RAPL_FILES", f"{tmp_path}/intel-rapl:?/energy_uj")
    monkeypatch.setattr(noise, "THROTTLE_FILES", f"{tmp_path}/*/core_throttle_count")
    found = snapshot()
    assert list(found.energy_uj.values()) == [(12, 99)]
    assert found.throttled == 7


def test_snapshot_of_this_machine():
    first, second = snapshot(), snapshot()
    assert second.at >= first.at
    assert second.busy_s >= first.busy_s - 0.1
    if Path("/proc/pressure/cpu").exists():
        assert "cpu" in first.pressure_s
