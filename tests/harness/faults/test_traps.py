"""Engines that leave something else than files, each a real process: no hang, no harm, an outcome.

Before, a pipe in the place of a report or a log was waited at for ever, and links were followed.
"""

import json

import pytest

from harness.records.store import read_run
from harness.run import loop as runner

# behaviour: outcome of the train process, what its reason says
REFUSED = {
    "report-pipe": ("replaced:report=fifo", "bad_result", "report: a named pipe, not a regular"),
    "report-link": ("replaced:report=link", "bad_result", "report: a link, not a regular file"),
    "report-endless": ("replaced:report=/dev/zero", "bad_result", "report: a link"),
    "report-folder": ("replaced:report=folder", "bad_result", "report: a folder"),
    "report-socket": ("replaced:report=socket", "bad_result", "report: a socket"),
    "weights-pipe": ("replaced:weights=fifo", "bad_result", "a named pipe, not a regular file"),
    "weights-link": ("replaced:weights=link", "bad_result", "a link, not a regular file"),
    "weights-sparse": ("replaced:weights=sparse", "bad_result", "not a readable .npz file"),
}


@pytest.mark.parametrize(("behaviour", "outcome", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_file_is_refused(trial, behaviour, outcome, reason):
    record = trial(behaviour)
    assert record.train.outcome == outcome
    assert reason in record.train.reason
    assert not record.valid


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("fifo", "a named pipe"),
        ("link", "a link"),
        ("sparse", "larger than"),
        ("folder", "a folder"),
    ],
)
def test_predictions_that_are_no_file_are_refused(trial, kind, reason):
    record = trial(f"replaced:predictions={kind}")
    assert record.train.outcome == "ok"
    assert record.test.outcome == "bad_result"
    assert f"predictions: {reason}" in record.test.reason


def test_report_of_a_terabyte_is_not_read(trial):
    """Of holes; told while it ran or after, whichever look comes first."""
    record = trial("replaced:report=sparse")
    assert record.train.outcome == "bad_result"
    assert "larger than 16777216 bytes" in record.train.reason or "grew" in record.train.reason


@pytest.mark.parametrize("log", ["stdout", "stderr"])
def test_log_made_a_pipe_is_not_waited_at(trial, log):
    record = trial(f"replaced:{log}=fifo")
    assert record.valid
    assert getattr(record.train, f"{log}_tail") == (
        f"[{log}.log: a named pipe, not a regular file]"
    )


def test_log_made_a_link_gives_nothing_of_its_target_away(trial, tmp_path):
    (tmp_path / "secret").write_text("the user's key")
    record = trial(f"replaced:stderr={tmp_path / 'secret'}")
    assert "key" not in record.model_dump_json()


@pytest.mark.parametrize("kind", ["fifo", "folder", "victim"])
def test_what_lies_in_the_way_of_the_timeline_is_replaced(trial, tmp_path, kind):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    record = trial(f"replaced:memory={victim if kind == 'victim' else kind}")
    assert record.valid
    assert victim.read_text() == "mine"
    timeline = tmp_path / "results/r/trials/0-fake/train/memory.csv"
    assert timeline.read_text().startswith("t_s,rss_bytes")
    assert not timeline.is_symlink()


def test_engine_that_makes_its_folder_a_link_broke_the_contract(trial, tmp_path):
    victim = tmp_path / "victim"
    victim.mkdir()
    record = trial(f"folder_for_link:{victim}")
    assert record.train.outcome == "contract_broken"
    assert "replaced its own folder: 'train' is a link or a file" in record.train.reason
    assert list(victim.iterdir()) == []


@pytest.fixture
def victim(tmp_path):
    """A folder with a file in it, neither of which a run has anything to do with."""
    folder = tmp_path / "victim"
    folder.mkdir()
    (folder / "file").write_text("mine")
    yield folder
    assert [path.name for path in folder.iterdir()] == ["file"]
    assert (folder / "file").read_text() == "mine"


def test_cache_made_a_link_is_emptied_of_the_link_alone(home, fakes, victim):
    run = read_run(runner.start(fakes(f"a=cache_for_link:{victim}", repeats=2, cold=True)).folder)
    assert [trial.valid for trial in run.trials] == [True, True]


def test_link_put_where_the_next_trial_will_be_is_removed(home, fakes, victim):
    run = read_run(runner.start(fakes(f"a=link_in_advance:1-a={victim}", repeats=2)).folder)
    assert [trial.valid for trial in run.trials] == [True, True]
    assert not (run.folder / "trials" / "1-a").is_symlink()


@pytest.mark.parametrize("name", ["batch_size", "parameters", "threads"])
def test_number_of_thirty_digits_leaves_a_record_that_can_be_read(home, fakes, name):
    run = read_run(runner.start(fakes(f"a=many_digits:{name}")).folder)
    assert run.problems == []
    (record,) = run.trials
    assert record.train.outcome in ("bad_result", "contract_broken")


def test_control_characters_of_an_engine_reach_neither_terminal_nor_pages(home, fakes, capfd):
    attack = "\x1b]0;owned\x07\x1b[2J \u202egnp.exe"
    name = json.dumps({"event": "phase", "name": attack, "seconds": 0.001})
    runner.start(fakes(f"a=fail:{attack}", f"b=raw_report:{name}", "c=ok"))
    from harness import cli

    for arguments in (["report", "r"], ["report", "r", "--format", "md"]):
        assert cli.main(arguments) == 0
    cli.main(["report", "r", "--format", "html"])
    report = home / "results" / "r" / "report"
    texts = [path.read_text() for path in report.iterdir() if path.suffix in (".html", ".md")]
    texts += [(report / "trials.csv").read_text(), *capfd.readouterr()]
    for text in texts:
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert any(r"\x1b" in text and r"\u202e" in text for text in texts)
