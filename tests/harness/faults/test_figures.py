"""The figures of a trial against engines whose true figures are known.

Each bound is one-sided where a busy machine could only make the figure larger.
"""

import json
import mmap
from pathlib import Path

import numpy as np
import pytest

from harness.process.timeline import COLUMNS, MAX_ROWS, Timeline, peaks
from harness.records.models import Memory

MEGABYTE = 1 << 20


def test_sleep_of_a_second_reads_a_second(trial, home):
    script = home / "engine.sh"
    script.write_text("#!/bin/sh\nexec sleep 1.000\n")
    script.chmod(0o755)
    walls = [trial("", command=str(script)).train.wall_s for _ in range(2)]
    # the faster of two: a neighbour's test may hold one of them up, but nothing makes it shorter
    assert 1.000 <= min(walls) <= 1.030
    assert max(walls) < 3


def test_outer_clock_contains_the_launchers(trial):
    train = trial("sleep:0.2").train
    assert train.wall_s <= train.outer_wall_s
    assert train.start_up_and_exit_s >= 0.2


def test_peak_of_a_known_size_does_not_depend_on_the_harness(trial):
    ballast = mmap.mmap(-1, 1000 * MEGABYTE)  # the harness itself holds 1 GB while measuring
    np.frombuffer(ballast, np.uint8)[::4096] = 1
    train = trial("touch:100").train
    ballast_size = len(ballast)
    assert ballast_size == 1000 * MEGABYTE
    assert train.peak_rss.bound == "exact"
    assert 100 * MEGABYTE <= train.peak_rss.bytes <= 115 * MEGABYTE
    assert train.tree_peak is None


def test_short_spike_is_seen(trial):
    peak = trial("spike:300").train.peak_rss
    assert peak.bytes == pytest.approx(300 * MEGABYTE, rel=0.05)
    assert (peak.method, peak.bound) == ("wait4 ru_maxrss", "exact")


def test_peak_below_the_launchers_own_is_labelled(trial, home):
    script = home / "engine.sh"
    script.write_text("#!/bin/sh\nexit 0\n")
    script.chmod(0o755)
    train = trial("", command=str(script)).train
    assert train.peak_rss.bytes < 16 * MEGABYTE
    assert "below the launcher's own" in train.degraded[0]
    assert trial("touch:50").train.degraded == []


def test_children_are_added(trial, memory_group):
    train = trial("children:150,150").train
    assert train.peak_rss.bytes == pytest.approx(150 * MEGABYTE, rel=0.1)
    assert train.tree_peak.bytes == pytest.approx(300 * MEGABYTE, rel=0.1)
    assert train.tree_peak.bound == "exact"
    assert train.tree_peak.method == memory_group.version.method
    assert train.degraded == []


def test_children_are_added_from_samples(trial, no_memory_group):
    train = trial("children:150,150").train
    assert train.peak_rss.bytes == pytest.approx(150 * MEGABYTE, rel=0.1)
    if train.tree_peak.bound != "lower":  # no sample while both lived, on a very busy machine
        assert train.tree_peak.bytes == pytest.approx(300 * MEGABYTE, rel=0.1)
        assert (train.tree_peak.method, train.tree_peak.bound) == ("sampled pss", "sampled")
    assert "peak of several" in train.degraded[0]


def test_shared_pages_are_not_counted_four_times(trial, memory_group):
    train = trial("sharing:4x200").train
    peak = train.tree_peak
    assert peak.bytes == pytest.approx(200 * MEGABYTE, rel=0.1)
    # Python's own files were read before: the group is not charged for them, the process shows
    # them, and then its figure is the larger one and a lower bound of the tree's
    figures = {"exact": memory_group.version.method, "lower": "wait4 ru_maxrss"}
    assert peak.method == figures[peak.bound]
    assert train.degraded == []


def test_shared_pages_are_not_counted_four_times_from_samples(trial, no_memory_group):
    peak = trial("sharing:4x200").train.tree_peak
    # the processes are read one after the other, so pages that change hands in between are seen
    # twice; where one process alone was larger than every sample the figure is a lower bound
    assert peak.bound in ("sampled", "lower")
    assert 190 * MEGABYTE <= peak.bytes <= 400 * MEGABYTE


def test_cpu_time_is_the_engines(trial):
    train = trial("burn:0.3").train
    used = train.user_s + train.system_s
    assert 0.3 <= used <= 0.45
    assert train.cpu_bound == "exact"


def test_cpu_time_of_an_orphan_is_added(trial):
    train = trial("burn_in_orphan:0.3").train
    assert 0.3 <= train.user_s + train.system_s <= 0.5
    assert train.cpu_bound == "exact"


def test_lost_cpu_time_makes_the_figure_a_lower_bound(trial):
    train = trial("unpaid_child:0.4").train
    assert train.user_s + train.system_s < 0.4
    assert train.cpu_bound == "lower"


def test_too_many_busy_processors_break_the_contract(trial):
    # three processes want CPU time where one thread is allowed; how much they get depends on the
    # machine, so the figures of a real process are scaled
    from harness.trial.answer import Fault
    from harness.trial.outcome import _check_threads

    train = trial("burn:0.1").train
    busy = train.model_copy(update={"user_s": 3.0, "system_s": 0.0, "cpu_ratio": 1.9})
    with pytest.raises(Fault, match=r"1\.9 processors busy, the job allows 1") as caught:
        _check_threads(busy, 1)
    assert caught.value.outcome == "contract_broken"
    _check_threads(busy, 2)
    _check_threads(train, 1)


def test_timeline_has_phase_marks(trial, home):
    train = trial("sleep:0.3").train
    path = home / "results" / "r" / "trials" / "0-fake" / "train" / "memory.csv"
    rows = [line.split(",") for line in path.read_text().splitlines()]
    assert tuple(rows[0]) == COLUMNS
    assert "import+train" in [row[-1] for row in rows]
    times = [float(row[0]) for row in rows[1:]]
    assert times == sorted(times)
    assert 0 <= times[0] <= times[-1] <= train.wall_s
    assert all(int(row[1]) <= train.peak_rss.bytes for row in rows[1:])


def test_sampler_uses_less_than_a_hundredth(trial):
    """Its CPU time over the trial's wall time; benchmarks/sampler_cost.py measures the effect."""
    shares = []
    for _ in range(2):
        train = trial("slow:0.7").train
        shares.append(train.sampler_s / train.wall_s)
    assert 0 < min(shares) < 0.01


def test_without_sampling_there_is_no_timeline_and_the_peak_is_still_exact(trial, home):
    train = trial("touch:50", sample_interval_s=None).train
    assert not (home / "results" / "r" / "trials" / "0-fake" / "train" / "memory.csv").exists()
    assert train.peak_rss.bytes >= 50 * MEGABYTE
    assert train.sampler_s == 0


def test_long_timeline_is_thinned_and_keeps_its_peak(tmp_path):
    timeline = Timeline(rows=[(t / 20, 10 + (t == 4321), None, 1, 1, "") for t in range(9000)])
    timeline.rows[100] = (5.0, 10, None, 1, 1, "import")
    timeline.write(tmp_path / "memory.csv")
    rows = (tmp_path / "memory.csv").read_text().splitlines()[1:]
    assert len(rows) <= MAX_ROWS
    assert max(int(row.split(",")[1]) for row in rows) == 11
    assert [row.rpartition(",")[2] for row in rows].count("import") == 1


PEAKS = {
    # processes, sampled tree, of one process, of the group: the tree's figure and its bound
    "alone": (1, 0, 50, None, None),
    "alone-in-a-group": (1, 0, 50, 70, None),
    "sampled": (2, 90, 50, None, (90, "sampled")),
    "group": (2, 90, 50, 95, (95, "exact")),
    "group-less-than-one-process": (2, 40, 50, 45, (50, "lower")),
    "samples-missed-it": (2, 40, 50, None, (50, "lower")),
}


@pytest.mark.parametrize(
    ("processes", "sampled", "one", "group", "tree"), PEAKS.values(), ids=PEAKS
)
def test_which_figure_is_the_peak(processes, sampled, one, group, tree):
    timeline = Timeline(tree_peak_bytes=sampled, most_processes=processes)
    charged = group and Memory(bytes=group, method="cgroup memory.peak", bound="exact")
    largest, whole = peaks(timeline, one, charged)
    assert (largest.bytes, largest.bound) == (one, "exact")
    assert (None if whole is None else (whole.bytes, whole.bound)) == tree


def test_surroundings_of_an_engine(trial, home, monkeypatch):
    monkeypatch.setenv("PYTHONSTARTUP", "/nowhere/startup.py")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    monkeypatch.setenv("LD_PRELOAD", "")
    trial("environment", threads=3)
    told = home / "results" / "r" / "trials" / "0-fake" / "train" / "report.jsonl.environment"
    found = json.loads(Path(told).read_text())
    assert not [
        name for name in found["env"] if name in ("PYTHONSTARTUP", "PYTHONPATH", "LD_PRELOAD")
    ]
    assert found["env"]["OMP_NUM_THREADS"] == found["env"]["OPENBLAS_NUM_THREADS"] == "3"
    assert found["cwd"] == str(told.parent)


def test_what_an_engine_changes_stays_with_it(trial):
    assert trial("change_surroundings").valid
    assert trial("ok").valid


@pytest.mark.parametrize("behaviour", ["daemon", "keep_pipe"])
def test_what_outlives_the_engine_is_killed_and_said(trial, behaviour):
    record = trial(behaviour)
    assert record.valid
    assert record.train.reason == "one process was left behind and killed."
    assert record.train.wall_s < 5


def test_binary_output_is_kept_and_shown_as_text(trial, home):
    record = trial("binary")
    assert record.valid
    folder = home / "results" / "r" / "trials" / "0-fake" / "train"
    assert (folder / "stdout.log").read_bytes().endswith(b"\x00\xff\xfe")
    assert record.train.stdout_bytes == 256 * 64 + 3
    assert "the end" in record.train.stderr_tail
    assert "\0" not in record.train.stdout_tail
