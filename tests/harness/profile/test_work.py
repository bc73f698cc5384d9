"""The work of a step, held against numbers worked out by hand from the shapes."""

import pytest

from harness.contract import ops
from harness.profile.work import step_work, total
from harness.workload import shapes
from harness.workload.format import load
from tests.fakes.profiles import resolved

# paper, one 28x28 image. Convolution 3x3, 1 filter, valid: 26x26 outputs of 9 products each.
# Pooling 2x2: 13x13 outputs of 3 comparisons. Dense: 169 to 10. 1710 parameters.
PAPER = {
    ("convolution", "forward"): 676 * 9 * 2 + 676,
    ("convolution", "input gradient"): 0,
    ("convolution", "kernel gradient"): 676 * 9 * 2 + 676,
    ("matrix product", "forward"): 169 * 10 * 2 + 10,
    ("matrix product", "input gradient"): 169 * 10 * 2,
    ("matrix product", "kernel gradient"): 169 * 10 * 2 + 10,
    ("pooling", None): 169 * 3,
    ("activation", None): 676 * 2,
    ("loss", None): 10 * 6,
    ("optimizer", None): 1710 * 2,
}
# lenet5, 32 images. 5x5 same, 1 to 6: 28x28x6 outputs of 25 products; pooled to 14x14x6. 5x5 valid,
# 6 to 16: 10x10x16 outputs of 150; pooled to 5x5x16. Dense 400-120-84-10. 61,706 parameters.
LENET5 = {
    ("convolution", "forward"): 32 * (4704 * 51 + 1600 * 301),
    ("convolution", "input gradient"): 32 * 1600 * 300,
    ("convolution", "kernel gradient"): 32 * (4704 * 51 + 1600 * 301),
    ("matrix product", "forward"): 32 * (2 * (48_000 + 10_080 + 840) + 214),
    ("matrix product", "input gradient"): 32 * 2 * (48_000 + 10_080 + 840),
    ("matrix product", "kernel gradient"): 32 * (2 * (48_000 + 10_080 + 840) + 214),
    ("pooling", None): 32 * 3 * (1176 + 400),
    ("activation", None): 32 * 2 * (4704 + 1600 + 120 + 84),
    ("loss", None): 32 * 10 * 6,
    ("optimizer", None): 61_706 * 2,
}


@pytest.mark.parametrize(("preset", "by_hand"), [("paper", PAPER), ("lenet5", LENET5)])
def test_operations_are_those_worked_out_by_hand(preset, by_hand):
    work = step_work(resolved(preset))
    assert {key: total(work, *key)[0] for key in by_hand} == by_hand


def test_bytes_are_every_operand_once():
    work = step_work(resolved("paper"))
    image, out, weights = 784, 676, 9
    assert total(work, "convolution", "forward")[1] == 4 * (image + out + weights + 1)
    assert total(work, "optimizer", None)[1] == 3 * 4 * 1710  # θ and g read, θ written
    assert total(work, "data movement", None)[1] == image * 5  # a byte in, four out


def test_settings_change_the_work():
    wide = shapes.resolve(
        load("paper", ("training.dtype=float64", "training.batch_size=4")).document(),
        (28, 28, 1), 10,
    )  # fmt: skip
    one, four = step_work(resolved("paper")), step_work(wide)
    forward = ("convolution", "forward")
    assert total(four, *forward)[0] == 4 * total(one, *forward)[0]
    assert total(four, "optimizer", None) == (1710 * 2, 3 * 8 * 1710)
    for settings, flop in (
        (("training.momentum=0.9",), 4),
        (("training.optimizer=adam",), 12),
    ):
        changed = shapes.resolve(load("paper", settings).document(), (28, 28, 1), 10)
        assert total(step_work(changed), ops.OPTIMIZER, None)[0] == flop * 1710


def test_every_class_of_work_is_one_of_the_contract():
    for preset in ("paper", "lenet5"):
        for work in step_work(resolved(preset)):
            assert work.kind in ops.CLASSES
            assert work.part in (*ops.PASSES, None)
