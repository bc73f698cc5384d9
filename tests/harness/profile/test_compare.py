"""What the tables and sentences say of profiles whose numbers are known."""

import pytest

from harness.errors import RecordError
from harness.profile.compare import Row, cell, conclusions, notes, rows, whole
from harness.profile.model import FILE, read
from tests.fakes.profiles import OPERATIONS, STEPS, engine, operation, profile


def test_a_cell_is_time_share_and_speed():
    made = profile(engine("a", 1e-3, inflation=0.0))
    found = cell(made, made.engines[0], Row("convolution", "forward"))
    assert found.step_s == pytest.approx(0.2e-3)
    assert found.share == pytest.approx(0.2)
    assert found.flop_per_s == pytest.approx(12844 / 0.2e-3)
    assert found.of_peak == pytest.approx(12844 / 0.2e-3 / 100e9)
    assert found.intensity == pytest.approx(12844 / 5880)
    assert whole(made, made.engines[0]).flop_per_s == pytest.approx(41_971 / 1e-3)


def test_a_pass_over_memory_that_is_too_fast_was_done_in_another_kernel():
    shares = {("optimizer", "update"): 0.001, ("matrix product", "forward"): 0.999}
    made = profile(engine("a", 1e-5, inflation=0.0, shares=shares))
    (one,) = made.engines
    assert 3420 / 1e-8 > 100e9 / 4
    assert cell(made, one, Row("optimizer", None)).flop_per_s is None
    slower = profile(engine("a", 1e-3, inflation=0.0, shares=shares))
    found = cell(slower, slower.engines[0], Row("optimizer", None))
    assert found.flop_per_s == pytest.approx(3420 / 1e-6)


def test_the_rows_add_up_to_the_step():
    made = profile()
    for one in made.engines:
        total = sum(cell(made, one, row).step_s for row in rows(made))
        assert total == pytest.approx(one.profiled_s / STEPS)


def test_a_product_without_a_pass_counts_as_forward():
    one = engine("a", shares={("convolution", None): 0.6, ("convolution", "kernel gradient"): 0.2})
    made = profile(one)
    assert cell(made, one, Row("convolution", "forward")).share == pytest.approx(0.6)
    assert cell(made, one, Row("unattributed", None)).share == pytest.approx(0.2)


def test_dispatch_and_what_is_unattributed_are_always_shown():
    made = profile(engine("a", shares={("loss", None): 1.0}))
    assert [row.kind for row in rows(made)] == ["loss", "dispatch", "unattributed"]


def test_the_largest_differences_are_named_and_small_ones_are_not_claimed():
    slow = {**OPERATIONS, ("pooling", None): 0.4, ("convolution", "forward"): 0.0}
    made = profile(
        engine("a", 1e-3, inflation=0.02), engine("b", 1.2e-3, inflation=0.02, shares=slow)
    )
    (told,) = conclusions(made)
    assert told.startswith("b takes 0.200 ms a step more than a (1.20 ms and 1.00 ms, 1.20 times).")
    assert "pooling +0.388 ms" in told
    assert "convolution, forward −0.204 ms" in told
    assert "dispatch" not in told  # 31 µs are less than the 44 µs that the profilers cost
    assert "Differences below what the profilers cost, 44.0 µs, are not claimed" in told


def test_no_class_is_claimed_where_the_profilers_cost_more():
    made = profile(engine("a", 1e-3), engine("b", 1.1e-3, inflation=1.0))
    (told,) = conclusions(made)
    assert "no class differs by more than what the profilers cost" in told


def test_one_engine_is_compared_with_nobody():
    made = profile(engine("a", shares={("loss", None): 1.0}), engine("b", failure="it crashed"))
    assert not list(conclusions(made))
    assert list(notes(made)) == ["b: no profile: it crashed"]


def test_a_note_names_what_is_unattributed():
    one = engine("a", shares={("unattributed", None): 0.3, ("loss", None): 0.7})
    one.operations.append(operation("small", "unattributed", None, 0.0))
    assert list(notes(profile(one))) == [
        "a: 30 % of the step is unattributed: unattributed None, small."
    ]


def test_a_profile_that_cannot_be_read_is_told_in_one_line(tmp_path):
    folder = tmp_path / "profile"
    assert read(folder) is None
    folder.mkdir()
    (folder / FILE).write_text('{"format": 2}')
    with pytest.raises(RecordError, match=r"profile\.json: (format|name)"):
        read(folder)
    made = profile()
    (folder / FILE).write_text(made.model_dump_json(by_alias=True))
    assert read(folder) == made
