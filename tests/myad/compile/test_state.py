"""State that a step returns: every old value is read before the new one takes its place."""

import numpy as np
import pytest

import myad
from myad.compile import CompiledTraining
from myad.compile.build import build
from myad.compile.load import module_of
from myad.compile.loops.steps import run_interpreted
from myad.compile.program.trace import trace
from myad.compile.schedule.layout import Machine
from myad.errors import CompileError

MACHINE = Machine(32, 16)
X = np.arange(6.0).reshape(2, 3)


def vectors(*names):
    return {name: np.arange(5.0) + 10.0 * n for n, name in enumerate(names)}


def rolled(v):
    return myad.concatenate([v[1:], v[:1]])


# Each step takes a dict of state and returns the new one, and what else it returns.
STEPS = {
    "old value in another": (
        vectors("p", "prev"), lambda s: ({"p": s["p"] / 2, "prev": s["p"]}, ())
    ),
    "swap of two": (vectors("p", "q"), lambda s: ({"p": s["q"], "q": s["p"]}, ())),
    "rotation of three": (
        vectors("p", "q", "r"), lambda s: ({"p": s["q"], "q": s["r"], "r": s["p"]}, ())
    ),
    "rotation backwards, changed": (
        vectors("p", "q", "r"), lambda s: ({"p": s["r"] + 1, "q": s["p"] + 1, "r": s["q"] + 1}, ())
    ),
    "two swaps": (
        vectors("p", "q", "r", "s"),
        lambda s: ({"p": s["q"], "q": s["p"], "r": s["s"], "s": s["r"]}, ()),
    ),
    "swap and a reader": (
        vectors("p", "q", "r"),
        lambda s: ({"p": s["q"], "q": s["p"], "r": s["p"] * s["q"]}, (s["p"] - s["q"],)),
    ),
    "chain": (
        vectors("p", "q", "r"), lambda s: ({"p": s["q"], "q": s["r"], "r": s["r"] * 2 + 1}, ())
    ),
    "chain from the end": (
        vectors("r", "q", "p"), lambda s: ({"r": s["r"] * 2 + 1, "q": s["r"], "p": s["q"]}, ())
    ),
    "updates that read each other": (
        vectors("p", "q"), lambda s: ({"p": s["p"] + s["q"], "q": s["q"] - s["p"]}, ())
    ),
    "unchanged": (vectors("p", "q"), lambda s: ({"p": s["p"], "q": s["q"] + s["p"]}, ())),
    "one new value for two": (
        vectors("p", "q"),
        lambda s: (lambda new: ({"p": new, "q": new}, (new,)))(s["p"] * s["q"] + 1),
    ),
    "one old value for two": (
        vectors("p", "q", "r"), lambda s: ({"p": s["p"] + 1, "q": s["p"], "r": s["p"]}, (s["p"],))
    ),
    "old value returned beside": (vectors("p"), lambda s: ({"p": s["p"] * 3}, (s["p"], s["p"]))),
    "new value returned beside": (
        vectors("p"), lambda s: (lambda new: ({"p": new}, (new, new + s["p"])))(s["p"] * 3)
    ),
    "constant": (vectors("p", "q"), lambda s: ({"p": np.full(5, 7.0), "q": s["p"] + 1}, ())),
    "varied constant": (vectors("p", "q"), lambda s: ({"p": np.arange(5.0), "q": s["p"]}, ())),
    "one constant for two": (
        vectors("p", "q"), lambda s: ({"p": np.arange(5.0), "q": np.arange(5.0)}, (s["p"],))
    ),
    "read elsewhere than written": (vectors("p"), lambda s: ({"p": rolled(s["p"])}, (s["p"],))),
    "read by a reduction": (vectors("p"), lambda s: ({"p": s["p"] - s["p"].sum()}, ())),
    "transposed": (
        {"p": X, "q": X.T.copy() * 2}, lambda s: ({"p": s["q"].T, "q": s["p"].T + 1}, ())
    ),
    "border": (
        {"p": np.arange(5.0), "n": np.zeros(())},
        lambda s: ({"p": myad.pad(s["p"][1:4] * 2.0, ((1, 1),)), "n": s["n"] + 1}, ()),
    ),
    "numbers": (
        {"a": np.array(1.0), "b": np.array(2.0)},
        lambda s: ({"a": s["b"], "b": s["a"] + s["b"]}, ()),
    ),
    "product of matrices": (
        {"w": X @ X.T, "v": np.eye(2)}, lambda s: ({"w": s["w"] @ s["v"] * 0.1, "v": s["w"]}, ())
    ),
    "integers": (
        {"step": np.array(3), "key": np.array([1, 2], np.uint32)},
        lambda s: ({"step": s["step"] + 1, "key": s["key"] + np.uint32(1)}, (s["step"],)),
    ),
    "nothing": ({"p": np.zeros((0, 3)), "q": np.ones(2)}, lambda s: ({**s, "q": s["q"] * 2}, ())),
}  # fmt: skip


def planned(step, state):
    program, _ = trace(step, state)
    return build(program, MACHINE, state={n: n for n in range(len(state))})


@pytest.mark.parametrize(("state", "step"), STEPS.values(), ids=STEPS)
def test_steps_in_a_row_are_those_of_the_function(state, step):
    plan = planned(step, state)
    module = module_of(plan)
    for place, value in zip(module.inputs, state.values(), strict=True):
        module.write(place, value)
    for _ in range(4):
        values = dict(zip(plan.inputs, state.values(), strict=True))
        interpreted = run_interpreted(plan, values)
        new, extra = step(state)
        state = {name: np.asarray(new[name]) for name in state}
        module.run()
        wanted = [*state.values(), *extra]
        got = [module.read(place) for place in module.outputs]
        for one, two, three in zip(wanted, got, interpreted, strict=True):
            np.testing.assert_allclose(two, one, rtol=1e-12)
            np.testing.assert_allclose(three, one, rtol=1e-12)


def test_updates_in_place_need_no_copy():
    state, step = STEPS["unchanged"]
    assert len(planned(step, state).kernels) == 1
    model = myad.Sequential([myad.Dense(3), myad.Dense(2)], (4,))
    step = myad.training_step(model, "mean_squared_error", myad.Adam())
    images, targets = np.zeros((2, 4), "f4"), np.zeros((2, 2), "f4")
    training = CompiledTraining(step, model.parameters, myad.Adam().init(model.parameters), images,
                                targets, batch_size=2)  # fmt: skip
    assert not any("copy" in kernel.name for kernel in training.plan.kernels)


@pytest.mark.parametrize(("size", "copies"), [(2, 3), (3, 4), (5, 6)])
def test_a_rotation_takes_one_copy_more_than_it_has_values(size, copies):
    names = "abcde"[:size]
    plan = planned(lambda s: {n: s[names[k - 1]] for k, n in enumerate(names)}, vectors(*names))
    assert len(plan.kernels) == copies


def batches(step, state, count=7, batch_size=2):
    images = np.arange(count * 3, dtype="f4").reshape(count, 3)
    training = CompiledTraining(step, state, {}, images, images[:, :1], batch_size=batch_size)
    mean = training.epoch(images, images[:, :1])
    return training, images, mean


def test_a_step_may_keep_its_batch():
    def step(parameters, state, images, labels, key):
        return parameters["last"].sum(), {"last": images, "before": parameters["last"]}, state

    zeros = np.zeros((2, 3), "f4")
    training, images, mean = batches(step, {"last": zeros, "before": zeros}, count=6)
    np.testing.assert_array_equal(training.parameters["last"], images[4:])
    np.testing.assert_array_equal(training.parameters["before"], images[2:4])
    assert mean == images[:4].sum() / 3


def test_a_step_may_return_its_parameters_in_another_order():
    def step(parameters, state, images, labels, key):
        return images.sum(), {"b": parameters["b"] + 1.0, "a": parameters["a"] * 2.0}, state

    training, _, _ = batches(step, {"a": np.ones(3, "f4"), "b": np.ones(3, "f4")}, count=4)
    np.testing.assert_array_equal(training.parameters["a"], np.full(3, 4, "f4"))
    np.testing.assert_array_equal(training.parameters["b"], np.full(3, 3, "f4"))
    assert list(training.parameters) == ["a", "b"]


@pytest.mark.parametrize("change", [lambda w: w.astype(np.float64), lambda w: w.reshape((3, 1))])
def test_state_that_changes_its_shape_or_dtype_is_refused(change):
    def step(parameters, state, images, labels, key):
        return images.sum(), {"w": change(parameters["w"])}, state

    with pytest.raises(CompileError, match=r"takes parameter\.w:float32\[3\] and returns float"):
        batches(step, {"w": np.ones(3, "f4")})


def test_a_loss_that_is_no_number_is_refused():
    with pytest.raises(CompileError, match=r"the step's loss has the shape \(2, 3\)"):
        batches(lambda p, s, images, labels, key: (images, p, s), {"w": np.ones(3, "f4")})
