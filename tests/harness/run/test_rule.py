"""A run that ends by its rule: when, why, in the middle of an interruption, and what is refused."""

import json
import math
from itertools import pairwise

import pytest

from harness import cli
from harness.analysis.analysis import analyze
from harness.analysis.decision import counted_blocks, decide_run
from harness.analysis.metrics import BY_KEY
from harness.errors import UsageError
from harness.records.manifest import Rule
from harness.records.models import Witnesses
from harness.records.store import ENDED, read_manifest, read_run
from harness.run import loop as runner
from harness.run import rule as rules
from harness.run.options import RunOptions, parse_share
from harness.run.schedule import williams
from harness.trial import trial as trials
from tests.fakes.runs import make_run  # noqa: F401 (a fixture)


def widths(monkeypatch, by_blocks):
    """The intervals are as narrow as the test says, by number of blocks."""
    asked = []

    def width(run, blocks):
        asked.append(blocks)
        return by_blocks.get(blocks)

    monkeypatch.setattr(rules, "width", width)
    return asked


def test_run_ends_at_the_second_narrow_look_and_says_why(home, fakes, monkeypatch, capsys):
    asked = widths(monkeypatch, {5: 0.05, 7: 0.02, 9: 0.021, 11: 0.001})
    ended = runner.start(fakes("a=ok", "b=ok", repeats=5, until_share=0.03, most_repeats=20))
    run = read_run(ended.folder)
    assert (run.blocks, run.pending(), len(run.trials)) == (9, [], 18)
    assert run.manifest.repeats == 20
    assert (
        "known to ±3.0 %, at two looks in succession, the last after 9 blocks" in run.ended.reason
    )
    assert "it ended by its rule: every primary ratio" in ended.sentence
    assert "18 of 18 trials valid" in ended.sentence
    assert set(asked) == {5, 7, 9}
    assert analyze(ended.folder).valid_blocks == 9


def test_run_that_never_gets_narrow_ends_with_its_most(home, fakes, monkeypatch):
    widths(monkeypatch, {})
    ended = runner.start(fakes("a=ok", "b=ok", repeats=5, until_share=0.01, most_repeats=6))
    run = read_run(ended.folder)
    assert len(run.valid()) == 12
    assert run.ended.reason == (
        "all 6 blocks that it may have are done; the widest primary ratio is known to nothing, "
        "±1.0 % was asked for"
    )


def test_real_intervals_end_a_run(home, fakes):
    """What ends it are intervals of its own records."""
    options = fakes("a=ok", "b=ok", repeats=5, until_share=0.99, most_repeats=9)
    run = read_run(runner.start(options).folder)
    run.ended = None
    assert rules.over(run, 5) == ""
    width = rules.width(run, 9)
    assert width == decide_run(run, blocks=9).widest > 0
    assert bool(rules.over(run, 9))


@pytest.mark.parametrize("stop_after", [5, 6, 10])
def test_resume_in_the_middle_ends_at_the_same_block(home, fakes, monkeypatch, stop_after):
    """Whether the kill comes before a look, at it, or within the block behind it."""
    widths(monkeypatch, {5: 0.02, 7: 0.02})
    options = fakes("a=ok", "b=ok", repeats=5, until_share=0.03, most_repeats=20)
    real, seen = trials.run_trial, []

    def stopping(bench, planned):
        seen.append(planned.id)
        found = real(bench, planned)
        if len(seen) == stop_after:
            bench.control.request_stop()
        return found

    monkeypatch.setattr("harness.trial.runner.run_trial", stopping)
    first = runner.start(options)
    assert first.exit_code == runner.INTERRUPTED
    assert not (first.folder / ENDED).exists()
    ended = runner.resume(first.folder.parent, first.folder.name, commands=options.commands)
    run = read_run(first.folder)
    assert (run.blocks, len(run.valid()), ended.exit_code) == (7, 14, runner.DONE)
    assert len((first.folder / ENDED).read_text().splitlines()) == 1
    again = runner.resume(first.folder.parent, first.folder.name, commands=options.commands)
    assert (again.trials, len((first.folder / ENDED).read_text().splitlines())) == (14, 1)


def test_torn_end_is_found_again(home, fakes, monkeypatch):
    widths(monkeypatch, {5: 0.02, 7: 0.02})
    options = fakes("a=ok", "b=ok", repeats=5, until_share=0.03, most_repeats=20)
    folder = runner.start(options).folder
    whole = (folder / ENDED).read_text()
    (folder / ENDED).write_text(whole[:20])
    runner.resume(folder.parent, folder.name, commands=options.commands)
    assert json.loads((folder / ENDED).read_text())["blocks"] == 7
    assert len(read_run(folder).trials) == 14


def disturb(monkeypatch, ids):
    """Trials of these ids are disturbed, the others are not."""

    def found(process, result):
        return ["other work"] if process == "train" and current[0] in ids else []

    current = [""]
    real = trials.run_trial

    def run_trial(bench, planned):
        current[0] = planned.id
        return real(bench, planned)

    monkeypatch.setattr(trials, "disturbances", found)
    monkeypatch.setattr("harness.trial.runner.run_trial", run_trial)


def quiet(fakes, monkeypatch, ids, **options):
    disturb(monkeypatch, ids)
    monkeypatch.setattr("harness.trial.settle._is_quiet", lambda *_: True)
    return read_run(runner.start(fakes("a=ok", "b=ok", repeats=4, quiet=True, **options)).folder)


def test_disturbed_blocks_are_kept_and_repeated_at_the_end(home, fakes, monkeypatch):
    run = quiet(fakes, monkeypatch, {"1-a", "4-b"})
    # block 1 and its replacement, block 4, were disturbed; block 5 was not
    assert run.manifest.repeats == 6
    assert (run.blocks, len(run.trials)) == (6, 12)
    assert (
        run.ended.reason
        == "4 undisturbed blocks are done, 2 of them in the place of disturbed ones"
    )
    assert counted_blocks(run) == (frozenset({0, 2, 3, 5}), (1, 4))
    analysis = analyze(run.folder)
    cell = analysis.comparisons["a", "b"]["train_wall_s"]
    assert (cell.n, cell.ratio.n) == (4, 6)
    assert analysis.decision.left_out == (1, 4)


def test_calm_run_needs_no_spare(home, fakes, monkeypatch):
    run = quiet(fakes, monkeypatch, set())
    assert (run.manifest.repeats, run.blocks, len(run.trials)) == (6, 4, 8)
    assert run.ended.reason == "4 undisturbed blocks are done"
    assert counted_blocks(run)[1] == ()


def test_machine_that_never_calms_down_lets_all_count(home, fakes, monkeypatch):
    run = quiet(fakes, monkeypatch, {f"{k}-a" for k in range(9)}, spares=1)
    assert len(run.trials) == 10
    assert "0 of 4 blocks were undisturbed; so all of them count" in run.ended.reason
    assert counted_blocks(run) == (frozenset(range(5)), ())


def test_wait_for_quiet_is_bounded_and_recorded(home, fakes, monkeypatch):
    monkeypatch.setattr("harness.trial.settle._is_quiet", lambda *_: False)
    monkeypatch.setattr(rules, "QUIET_S", 0.05)
    run = read_run(runner.start(fakes("a=ok", quiet=True, spares=0, warmups=1)).folder)
    measured = [t for t in run.trials if not t.warmup]
    assert all(t.waited_s >= 0.05 for t in measured)
    assert all(t.waited_s < 0.05 for t in run.trials if t.warmup)


def test_quiet_is_what_the_witnesses_say(monkeypatch):
    from harness.process.supervise import Control
    from harness.trial import settle

    monkeypatch.setattr(settle, "LOOK_S", 0.01)
    for other, steal, expected in ((0.0, 0.0, True), (9.0, 0.0, False), (0.0, 9.0, False)):
        seen = Witnesses(other_cpu_s=other, steal_s=steal)
        monkeypatch.setattr(settle.noise, "witnesses", lambda *_, seen=seen: seen)
        assert settle._is_quiet(Control(), lambda: None) is expected


def test_pause_is_a_tenth_of_the_trial_before_and_bounded(monkeypatch):
    from harness.process.supervise import Control
    from harness.trial import settle

    slept = []
    monkeypatch.setattr(settle, "_sleep", lambda seconds, *_: slept.append(seconds))
    for before in (0.0, 3.0, 200.0):
        settle.settle(before, most_s=1.0, quiet_s=0.0, control=Control())
    assert slept == [0.0, pytest.approx(0.3), 1.0]


def test_rule_is_in_the_manifest_before_the_first_trial(home, fakes):
    options = fakes("a=ok", "b=ok", primary=("train_wall_s",), baseline="a", margin=0.1)
    manifest = read_manifest(runner.start(options).folder)
    assert (manifest.rule.primary, manifest.rule.baseline) == (["train_wall_s"], "a")
    assert (manifest.margins.time_share, manifest.rule.until_share) == (0.1, None)


def test_default_baseline_and_metrics():
    made = rules.rule_of(RunOptions(), ["tensorflow", "b"])
    assert (made.baseline, set(made.primary) <= set(BY_KEY)) == ("tensorflow", True)
    assert rules.rule_of(RunOptions(), ["a", "b"]).baseline == "b"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"primary": ("speed",)}, "--primary speed: allowed are train_wall_s"),
        ({"baseline": "c"}, "--baseline c: the run has a, b."),
        ({"until_share": 0.1, "repeats": 2}, "--until needs at least two engines and --repeats 5"),
        ({"most_repeats": 9}, "--max-repeats is of a run with --until"),
        (
            {"until_share": 0.1, "repeats": 9, "most_repeats": 8},
            "--max-repeats 8: below --repeats 9",
        ),
        ({"spares": 3}, "--spares is of a run with --quiet"),
    ],
)
def test_wrong_options_are_one_line(options, message):
    with pytest.raises(UsageError, match=message):
        rules.rule_of(RunOptions(**options), ["a", "b"])


@pytest.mark.parametrize("text", ["3%", "3 %", "0.03", ".03"])
def test_shares(text):
    assert parse_share(text, "--until") == pytest.approx(0.03)


@pytest.mark.parametrize("text", ["", "3", "0", "-3%", "100%", "three"])
def test_no_shares(text, home, capsys):
    with pytest.raises(UsageError, match="expected a share such as 3%"):
        parse_share(text, "--until")
    if text:
        assert cli.main(["run", "--until", text]) == 2
        assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6, 7])
def test_williams_designs_balance_positions_and_neighbours(n):
    squares = williams(n)
    times = len(squares)
    assert times == (1 if n % 2 == 0 else 2)
    for square in squares:
        assert all(sorted(column) == list(range(n)) for column in zip(*square, strict=True))
    pairs = [pair for square in squares for row in square for pair in pairwise(row)]
    assert {pair: pairs.count(pair) for pair in pairs} == {
        (a, b): times for a in range(n) for b in range(n) if a != b
    }


def test_level_of_a_decision_does_not_depend_on_tables(make_run):  # noqa: F811
    """The family is what the manifest names, however many engines a reader compares."""
    run = read_run(make_run({"a": 1.0, "b": 1.2, "c": 1.0}, rule=Rule(baseline="b")))
    decision = decide_run(run)
    assert set(decision.cells) == {(a, key) for a in "ac" for key in decision.rule.primary}
    assert decision.of("b", "a", "train_wall_s").word == "slower"
    assert decision.of("a", "c", "train_wall_s") is None
    assert math.isclose(
        decision.of("a", "b", "train_wall_s").ratio, 1 / decision.of("b", "a", "train_wall_s").ratio
    )
