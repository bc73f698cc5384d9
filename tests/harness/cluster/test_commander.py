"""What the commander makes of machines that come, go, return, lie and differ; without Dask."""

import json
from dataclasses import replace

import pytest

from harness.analysis.analysis import analyze
from harness.cluster import tasks
from harness.cluster.commander import Cluster
from harness.errors import UsageError
from harness.machine import host
from harness.records.store import RECORDS, read_run
from harness.report.sweep import read_sweep, write_sweep_report
from harness.run import loop
from harness.run.loop import DONE
from harness.run.sweep import carry_out, parse_axes
from tests.harness.cluster.conftest import NOW, Anywhere


def states(folder):
    """Trial -> its states in the order of the records."""
    found: dict[str, list[str]] = {}
    for line in (folder / RECORDS).read_text().splitlines():
        record = json.loads(line)
        found.setdefault(record["id"], []).append(record["state"])
    return found


def check_complete(ended, blocks):
    """Every trial once, each block on one machine, nothing refused."""
    run = read_run(ended.folder)
    assert ended.exit_code == DONE, ended.sentence
    assert run.problems == []
    assert len(run.valid()) == 2 * blocks
    for block in range(blocks):
        assert len({t.machine for t in run.valid() if t.block == block}) == 1
    for trial in run.valid():
        assert (run.trial_folder(trial, "test") / "predictions.npy").is_file()
    return run


def test_blocks_are_shared_and_every_record_tells_of_its_machine(cluster):
    cluster.machines("a", "b")
    run = check_complete(cluster.run(repeats=8, warmups=1), 8)
    assert set(run.machines) == {"a" * 12, "b" * 12}
    assert {t.machine for t in run.valid()} == set(run.machines)
    assert run.manifest.cluster
    warmups = [(t.id, t.machine) for t in run.trials if t.warmup]  # each machine's own
    assert len(warmups) == len(set(warmups)) == 4
    assert all(states(run.folder)[f"{n}-a"] == ["started", "finished"] for n in range(8))
    assert len(analyze(run.folder).machines) == 2


@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_worker_that_dies_in_a_block_and_comes_back(cluster, after):
    """After no record, one begun, one finished, one finished and one begun."""
    (node,) = cluster.machines("a", dies_after=after, returns=True)
    run = check_complete(cluster.run(repeats=3), 3)
    assert len(node.orders) == 4
    told = states(run.folder)
    assert all(found.count("finished") == 1 for found in told.values())


def test_what_was_measured_and_did_not_come_home_is_not_measured_again(cluster, monkeypatch):
    """The record is kept on the worker until the next block."""
    (node,) = cluster.machines("a", dies_after=1, returns=True)
    ran = []
    instant = node.worker.make_runner

    class Counting(instant):
        def run(self, block):
            for trial in super().run(block):
                if trial.state == "finished":
                    ran.append(trial.id)
                yield trial

    node.worker.make_runner = Counting
    check_complete(cluster.run(repeats=3), 3)
    assert sorted(ran) == sorted(set(ran))
    assert len(ran) == 6


def test_block_of_a_machine_that_stays_away_begins_anew_on_another(cluster):
    first, _ = cluster.machines("a", "b")
    first.dies_after = 2  # one trial of its block has come home
    run = check_complete(cluster.run(repeats=4), 4)
    assert {t.machine for t in run.valid()} == {"b" * 12}
    withdrawn = {name: told for name, told in states(run.folder).items() if "withdrawn" in told}
    (told,) = withdrawn.values()
    assert told == ["started", "finished", "withdrawn", "started", "finished"]


@pytest.mark.parametrize("at", [1, 2, 4])
def test_connection_that_breaks(cluster, at):
    cluster.machines("a", "b")
    cluster.scheduler.breaks_at = at
    patience = replace(NOW, look_s=0.5)  # it is made again at once, whenever the next look is due
    run = check_complete(cluster.run(patience, repeats=4), 4)
    assert cluster.scheduler.links == 2
    assert all(told.count("finished") == 1 for told in states(run.folder).values())


def test_no_machine_is_a_sentence_and_resume_goes_on(cluster):
    ended = cluster.run(repeats=2)
    assert "no machine takes part" in ended.sentence
    assert "--resume --name r" in ended.sentence
    cluster.machines("a")
    check_complete(cluster.resume(), 2)


def test_max_time_stops_and_resume_goes_on_here(cluster, home, fakes, monkeypatch):
    cluster.machines("a", "b")
    ended = cluster.run(repeats=6, max_time_s=0.0001)
    assert "--max-time 0.0001 s leaves no time" in ended.sentence
    assert len(read_run(ended.folder).valid()) < 12
    again = loop.resume(home / "results", "r", max_time_s=3600.0)
    run = check_complete(again, 6)
    here = host.fingerprint(host.host())
    assert here in run.machines
    assert here in {t.machine for t in run.valid()}


def test_run_of_one_machine_does_not_go_on_on_a_cluster(cluster, fakes):
    loop.start(fakes("a=seeded:0", repeats=2))
    cluster.machines("a")
    with pytest.raises(UsageError, match="was begun on one machine"):
        cluster.resume()


LIES = {
    "another trial": lambda m: {**m, "trial": m["trial"].replace('"0-', '"77-')},
    "no record": lambda m: {**m, "trial": "{}"},
    "not text": lambda m: {**m, "trial": 7},
    "files elsewhere": lambda m: {**m, "files": {"../../../victim": b""}},
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_record_that_was_not_ordered_is_refused_and_the_run_goes_on(cluster, home, capsys, lie):
    cluster.machines("a")
    told = []

    def change(message):
        if "trial" in message and not told:
            told.append(message)
            return lie(message)
        return message

    cluster.scheduler.change = change
    check_complete(cluster.run(repeats=2), 2)
    assert "sent no record" in capsys.readouterr().err
    assert not list(home.rglob("victim"))


def test_ticket_of_another_order_is_ignored(cluster):
    cluster.machines("a")
    seen = []

    def change(message):
        if "trial" in message and not seen:
            seen.append(message)
            return {**message, "ticket": "0" * 32}
        return message

    cluster.scheduler.change = change
    check_complete(cluster.run(repeats=2), 2)


def test_a_worker_that_differs_is_refused_by_name_and_the_others_go_on(
    cluster, capsys, monkeypatch
):
    cluster.machines("a", "b")
    packages, asked = host.packages(), []

    def other():
        asked.append(1)  # the commander first, then the workers in turn
        return {**packages, "numpy": "1.0"} if len(asked) == 2 else packages

    monkeypatch.setattr(host, "packages", other)
    run = check_complete(cluster.run(repeats=2), 2)
    assert len(run.machines) == 1
    errors = " ".join(capsys.readouterr().err.split())
    assert f"is refused: packages.numpy: {packages['numpy']} → 1.0" in errors


def test_machine_that_carries_nothing_out_is_given_up(cluster, capsys):
    first, _ = cluster.machines("a", "b")
    first.worker.plans = type("Forgetful", (dict,), {"get": lambda *_: None})()
    run = check_complete(cluster.run(repeats=4), 4)
    assert {t.machine for t in run.valid()} == {"b" * 12}
    assert "has not proven itself for this run" in capsys.readouterr().err


def test_data_set_that_a_worker_lacks_is_sent_to_it(cluster, monkeypatch, capsys):
    cluster.machines("a")
    sent, take = [], tasks.take_data

    def take_data(name, classes, *arrays):
        sent.append((name, classes, len(arrays)))
        return take(name, classes, *arrays)

    monkeypatch.setattr(tasks, "take_data", take_data)
    monkeypatch.setattr(tasks, "available", lambda: ["tiny"] if len(sent) > 1 else [])
    monkeypatch.setattr(tasks, "store", lambda *_, **__: sent.append("stored"))
    check_complete(cluster.run(repeats=2), 2)
    assert sent == [("tiny", 10, 4), "stored"]
    assert "sending data set 'tiny' to tcp://a:1." in capsys.readouterr().err


def test_points_of_a_sweep_are_shared_and_no_curve_joins_two_machines(cluster, fakes):
    cluster.machines("a", "b")
    options = replace(fakes("a=seeded:0", "bb=seeded:0", repeats=4), name="s", verify=False)
    crew = Cluster(Anywhere(), NOW)
    with crew.stay():
        folder, code = carry_out(
            options,
            parse_axes(["training.batch_size=1,4"]),
            resume=False,
            announce=lambda text: None,
            crew=crew,
        )
    assert code == DONE
    sweep = read_sweep(folder)
    assert sweep.measured == 2
    assert sweep.settings == ["training.batch_size", "machine"]
    assert {values["machine"] for values, _ in sweep.found} == {"a" * 12, "b" * 12}
    for rest, panel in sweep.panels():
        assert rest in {f"machine = {name * 12}" for name in "ab"}
        assert all(analysis.machines == {} for _, analysis in panel)
    text = write_sweep_report(sweep).joinpath("report.md").read_text()
    assert "2 of 2 points measured" in text
