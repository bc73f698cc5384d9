"""What compiled training does when things go wrong, and what it shows of itself."""

import os
import signal
import subprocess
import sys
import threading
import tracemalloc

import numpy as np
import pytest

import myad
from myad.compile import CompiledTraining, function, training
from myad.compile.llvm import native
from myad.compiled import compile_predict, compile_training
from myad.errors import CompileError, DataError, NotFiniteError

LAST = [myad.Flatten(), myad.Dense(4, activation="softmax")]
SMALL = [myad.Conv2D(1, 3, activation="relu"), myad.MaxPool2D(2), *LAST]
AVERAGE = [myad.Conv2D(2, 3), myad.AveragePooling2D(2, padding="same"), *LAST]
GLOBAL = [myad.Conv2D(2, 3), myad.GlobalAveragePooling2D(), LAST[1]]


def small(layers=SMALL):
    """A model for the images that `data` makes."""
    return myad.Sequential(layers, (7, 6, 2), seed=3)


def test_nan_in_the_data_surfaces_in_the_loss(data):
    images, labels = data()
    images = (images / 255).astype(np.float32)
    images[17, 3, 3, 0] = np.nan
    for layers in (SMALL, AVERAGE, GLOBAL):
        model = small(layers)
        with pytest.raises(NotFiniteError, match="loss became nan in epoch 1"):
            myad.fit(model, images, labels, compiled=True, progress=False)


def test_divergence_surfaces_in_the_loss(data):
    images, labels = data()
    targets = np.eye(4, dtype="f4")[labels]
    model = small([myad.Flatten(), myad.Dense(4)])
    options = {"optimizer": myad.SGD(learning_rate=1e9), "epochs": 9, "progress": False}
    with pytest.raises(NotFiniteError, match="smaller learning rate"):
        myad.fit(model, images, targets, loss="mean_squared_error", compiled=True, **options)


def test_every_stage_can_be_printed(data):
    images, labels = data()
    model = small()
    training = compile_training(model, "sparse_categorical_crossentropy", myad.SGD(), images,
                                labels, batch_size=2)  # fmt: skip
    assert "correlate2d(" in str(training.program)
    assert "fma(" in training.loops
    assert "define double @run" in training.ir
    assert training.memory.startswith("arena of ")


def test_the_images_are_read_where_they_are(data):
    """Memory of the plan does not grow with the data set, and no copy of it is made."""
    images, labels = data(3000)
    model = small()
    training = compile_training(model, "sparse_categorical_crossentropy", myad.SGD(), images,
                                labels, batch_size=1)  # fmt: skip
    assert training.plan.size < 60_000
    training.epoch(images, labels)
    tracemalloc.start()
    training.epoch(images, labels)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < images.nbytes / 4  # the row numbers, 4 bytes an image, and nothing per step


def test_a_short_last_batch_is_not_compiled(data, monkeypatch):
    compiled = []
    for module in (training, function):

        def counted(program, load=module.load, **options):
            compiled.append(program)
            return load(program, **options)

        monkeypatch.setattr(module, "load", counted)
    images, labels = data(23)
    model = small()
    made = compile_training(model, "sparse_categorical_crossentropy", myad.SGD(), images, labels,
                            batch_size=5)  # fmt: skip
    seen = []
    made.epoch(images, labels, done=seen.append)
    made.epoch(images[:3], labels[:3])  # nothing but a short batch
    assert seen[-1] == 23
    assert len(compiled) == 1
    predict = compile_predict(model, images, batch_size=5)
    for count in (23, 20, 4, 1, 0):
        expected = myad.predict(model, images[:count])
        np.testing.assert_allclose(predict(images[:count]), expected, rtol=1e-5)
    assert len(compiled) == 2


def test_wrong_data_is_refused(data):
    images, labels = data()
    model = small()
    training = compile_training(model, "sparse_categorical_crossentropy", myad.SGD(), images,
                                labels, batch_size=4)  # fmt: skip
    with pytest.raises(DataError, match="images are float32"):
        training.epoch(images.astype("f4"), labels)
    with pytest.raises(DataError, match="40 images, 39 labels"):
        training.epoch(images, labels[:39])
    with pytest.raises(DataError, match="order names rows 0 to 40 of 40"):
        training.epoch(images, labels, np.arange(41))
    with pytest.raises(DataError, match="no examples"):
        training.epoch(images, labels, np.arange(0))


def test_a_step_that_changes_its_state_s_names_is_refused(data):
    def step(parameters, state, images, labels, key):
        return parameters["w"].sum(), {**parameters, "more": parameters["w"]}, state

    images, labels = data()
    with pytest.raises(CompileError, match="return both with the same names"):
        CompiledTraining(step, {"w": np.ones(3, "f4")}, {}, images, labels, batch_size=2)


def test_own_steps_compile():
    def step(w, x, y):
        gradient = myad.grad(lambda w: ((x @ w - y) ** 2).mean())(w)
        return w - 0.1 * gradient

    rng = np.random.default_rng(1)
    w, x, y = rng.standard_normal(5), rng.standard_normal((20, 5)), rng.standard_normal(20)
    fast = myad.jit(step)
    for _ in range(3):
        wanted, w = step(w, x, y), fast(w, x, y)
        np.testing.assert_allclose(w, wanted, rtol=1e-12)


def test_jit_returns_what_the_function_returns():
    found = myad.jit(lambda a, b: {"sum": a + b, "both": (a, b * b)})(np.ones(3), np.arange(3.0))
    assert set(found) == {"sum", "both"}
    np.testing.assert_array_equal(found["both"][1], [0.0, 1.0, 4.0])


def test_second_derivatives_compile():
    x = np.linspace(-1.0, 1.0, 5)
    second = myad.jit(
        lambda x: myad.grad(lambda x: myad.grad(lambda x: (x**3.0).sum())(x).sum())(x)
    )
    np.testing.assert_allclose(second(x), 6 * x, atol=1e-12)


def test_what_cannot_be_compiled_is_named():
    with pytest.raises(CompileError, match="no kernel rule for symmetric_spectrum"):
        myad.jit(lambda x: myad.linalg.eigh(x)[0])(np.eye(3))


def test_without_llvmlite_training_is_eager_and_says_so(monkeypatch, capsys, data):
    def missing():
        raise CompileError("compile: llvmlite is not usable here (No module named 'llvmlite').")

    monkeypatch.setattr("myad.compiled.host", missing)
    images, labels = data()
    eager, native_model = small(), small()
    for model, compiled in ((eager, False), (native_model, True)):
        myad.fit(model, images, labels, compiled=compiled, progress=False)
    for name, wanted in eager.parameters.items():
        np.testing.assert_array_equal(native_model.parameters[name], wanted)
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "llvmlite is not usable here" in line
    assert "Training eagerly." in line
    assert native.host().vector_bytes >= 16


@pytest.mark.skipif(os.name != "posix", reason="signals to oneself are POSIX")
def test_ctrl_c_is_heard_in_native_code(data):
    images, labels = data(20_000)
    model = small()
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    training = compile_training(model, "sparse_categorical_crossentropy", myad.SGD(), images,
                                labels, batch_size=1)  # fmt: skip
    timer.start()

    def for_ever():
        while True:
            training.epoch(images, labels)

    with pytest.raises(KeyboardInterrupt):
        for_ever()
    timer.join()
    assert np.isfinite(training.parameters["0.kernel"]).all()


GUARDED = """
import ctypes, mmap, sys
import numpy as np
import myad
from myad.compiled import compile_training, compile_predict
PAGE = mmap.PAGESIZE
libc = ctypes.CDLL(None, use_errno=True)
def guarded(array):
    # the array ends where a page begins that nobody may read
    pages = -(-array.nbytes // PAGE)
    block = mmap.mmap(-1, (pages + 1) * PAGE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(block))
    assert libc.mprotect(ctypes.c_void_p(start + pages * PAGE), PAGE, 0) == 0
    window = np.frombuffer(block, array.dtype, array.size, pages * PAGE - array.nbytes)
    window = window.reshape(array.shape)
    window[...] = array
    return window
rng = np.random.default_rng(0)
for shape, filters, batch in (((28, 28, 1), 1, 1), ((9, 7, 3), 4, 5), ((12, 12, 1), 3, 32)):
    images = guarded(rng.integers(0, 256, (70, *shape)).astype(np.uint8))
    labels = guarded(rng.integers(0, 10, 70).astype(np.uint8))
    layers = [myad.Conv2D(filters, 3, activation="relu"), myad.MaxPool2D(2), myad.Flatten(),
              myad.Dense(10, activation="softmax")]
    model = myad.Sequential(layers, shape)
    training = compile_training(model, "sparse_categorical_crossentropy", myad.SGD(), images,
                                labels, batch_size=batch)
    for _ in range(2):
        assert np.isfinite(training.epoch(images, labels))
    compile_predict(model, images, batch_size=batch)(images)
print("ok")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="mprotect as Linux has it")
def test_nothing_behind_the_data_is_read():
    done = subprocess.run([sys.executable, "-c", GUARDED], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "ok"), done.stderr[-2000:]


BORDERS = {
    "other numbers": lambda x: myad.pad(myad.pad(x, ((2, 1),)), ((1, 2),), -1.5),
    "zeros in zeros": lambda x: myad.pad(myad.pad(x, ((2, 1),)), ((1, 2),)),
    "zeros times infinity": lambda x: myad.pad(x, ((1, 1),)) * np.array([np.inf, 1, 2, 3, np.inf]),
    "added": lambda x: myad.pad(x, ((1, 1),), 2.0) + myad.pad(x, ((2, 0),)),
}


@pytest.mark.parametrize("function", BORDERS.values(), ids=BORDERS)
def test_borders_keep_their_values(function):
    x = np.array([1.0, 2.0, 3.0])
    with np.errstate(invalid="ignore"):
        wanted = function(myad.Tensor(x)).numpy()
    np.testing.assert_array_equal(myad.jit(function)(x), wanted)


NAMES = ["linear/w", "a.b", "a_b", "a b", "größe", "", 'say "x"', "%x", "entry", "loop.1", "rows",
         "v1", "t.1", "run", "x" * 3000, "\n", "0", "\\22"]  # fmt: skip


def test_any_name_will_do():
    """Parameters are called as users like; names in code are made of theirs."""
    values = {name: np.full(3, float(n)) for n, name in enumerate(NAMES)}

    def step(values):
        return {name: myad.exp(value * 0.1).sum() + value for name, value in values.items()}

    compiled = myad.jit(step)
    found, wanted = compiled(values), step(values)
    for name in NAMES:
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-12)
    assert "arg0_linear_w" in compiled.lower(values).plan.loops


def test_parameters_of_training_may_have_any_name():
    def step(parameters, state, images, labels, key):
        total = sum((value.sum() for value in parameters.values()), images.sum())
        return total, {name: value + 1.0 for name, value in parameters.items()}, state

    images = np.zeros((4, 2), "f4")
    start = {name: np.zeros(2, "f4") for name in NAMES}
    training = CompiledTraining(step, start, {}, images, images[:, 0], batch_size=2)
    training.epoch(images, images[:, 0])
    for value in training.parameters.values():
        np.testing.assert_array_equal(value, [2, 2])
