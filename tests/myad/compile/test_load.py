"""Machine code from the disk: the same as made here, found only where it is surely that."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import myad
from myad.compile import identity, load
from myad.compile.build import build
from myad.compile.llvm import elf, native
from myad.compile.llvm.native import object_code
from myad.compile.places import packed, unpacked
from myad.compile.program.canonical import canonical
from myad.compile.program.trace import trace
from myad.compile.store import Store
from myad.compiled import compile_predict, compile_training
from myad.core import Primitive
from tests.myad.compile.test_training import LAYERS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="nothing is kept elsewhere")
X = np.linspace(-2.0, 3.0, 37)


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A store that is used."""
    kept = Store(tmp_path / "myad")
    monkeypatch.setattr(load, "store", lambda: kept)
    return kept


@pytest.fixture
def made(monkeypatch):
    """The object codes made from now on."""
    codes = []

    def counted(ir):
        codes.append(object_code(ir))
        return codes[-1]

    monkeypatch.setattr(load, "object_code", counted)
    return codes


def f(x, y):
    """Constants, borders of zeros and of ones, a result that is an input, one given twice."""
    rest = myad.pad(myad.tanh(x) * np.arange(37.0), ((2, 3),))
    ones = myad.where(x > 0.0, x, 1.0)
    return rest, myad.sin(y).sum(), x, ones, ones


def same(found, wanted):
    for one, two in zip(found, wanted, strict=True):
        assert one.tobytes() == two.tobytes()
        assert (one.shape, one.dtype) == (two.shape, two.dtype)


def test_a_function_is_compiled_once(kept, made):
    wanted = myad.jit(f)(X, X)
    assert len(made) == 1
    again = myad.jit(lambda left, right: f(left, right))
    same(again(X, X), wanted)
    assert len(made) == 1
    arrays = [*again(X, X), X]
    for n, one in enumerate(arrays):
        assert not any(np.shares_memory(one, other) for other in arrays[n + 1 :])
    assert "sin" in again.lower(X, X).plan.loops  # every stage can be read
    assert "define double @run" in again.lower(X, X).ir
    assert len(made) == 1


@pytest.mark.parametrize("name", LAYERS)
def test_training_and_prediction_go_on_with_what_is_kept(name, kept, made, data):
    images, labels = data(23)

    def run():
        model = myad.Sequential(LAYERS[name], (7, 6, 2), seed=1)
        loss = "sparse_categorical_crossentropy"
        training = compile_training(model, loss, myad.Adam(), images, labels, batch_size=5)
        losses = [training.epoch(images, labels) for _ in range(2)]
        predict = compile_predict(model, images, batch_size=5)
        return [np.array(losses), *training.parameters.values(), predict(images)]

    first = run()
    assert len(made) == 2
    same(run(), first)
    assert len(made) == 2


CHANGES = {
    "a constant": lambda x: myad.tanh(x) * 2.5,
    "a setting": lambda x: myad.tanh(x).sum(axis=0, keepdims=True) + x * 0.0,
    "an operation": lambda x: myad.sin(x) * 2.0,
    "what is returned": lambda x: (myad.tanh(x) * 2.0, x),
}


@pytest.mark.parametrize("name", CHANGES)
def test_another_program_is_another_entry(name, kept, made):
    myad.jit(lambda x: myad.tanh(x) * 2.0)(X)
    found = myad.jit(CHANGES[name])(X)
    assert len(made) == 2
    same(np.broadcast_arrays(found), np.broadcast_arrays(myad.jit(CHANGES[name])(X)))
    assert len(made) == 2


def looped(x, length=5, factor=0.5, constant=1.0, reverse=False):
    """A loop in a branch, with a constant of the body's, places that data decide, and integers."""

    def turn(carry, place):
        total, count = carry
        new = total * factor + myad.take(x, place) * np.linspace(constant, 2.0, 3)
        return (new, count + 1), new.sum()

    places = np.arange(length) * 2
    start = np.zeros(3), np.array(0)
    return myad.cond(
        x[0] < 0.0,
        lambda: myad.scan(turn, start, places, reverse=reverse),
        lambda: myad.scan(turn, start, places),
    )


def test_loops_are_found_with_all_that_is_inside(kept, made):
    wanted = myad.tree.leaves(myad.jit(looped)(X))
    assert len(made) == 1
    again = myad.jit(lambda x: looped(x))
    same(myad.tree.leaves(again(X)), wanted)
    assert len(made) == 1
    short = X[:5]
    for _ in range(2):
        with pytest.raises(IndexError, match="index 6 is out of bounds for axis 0 with size 5"):
            myad.jit(lambda x: looped(x))(short)
    assert len(made) == 2
    others = [{"length": 4}, {"factor": 0.25}, {"constant": 3.0}, {"reverse": True}]
    for number, change in enumerate(others):
        found = myad.tree.leaves(myad.jit(lambda x, c=change: looped(x, **c))(X))
        same(found, myad.tree.leaves(myad.jit(lambda x, c=change: looped(x, **c))(X)))
        assert len(made) == 3 + number


def test_another_shape_or_type_or_way_of_running_is_another_entry(kept, made):
    program, _ = trace(lambda x: (x * 2.0, x.sum()), X)
    for how in ({}, {"arrays": True}, {"loss": 1}, {"collect": 0}, {"state": {0: 0}}):
        load.load(program, **how)
    assert len(made) == 5
    double = myad.jit(lambda x: x * 2.0)
    for x in (X, X[:5], X.astype("f4"), X.reshape(1, -1)):
        double(x)
    assert len(made) == 9
    assert len(list(kept.path.iterdir())) == 9


def test_the_order_of_compiling_and_names_do_not_matter(kept, made):
    functions = [lambda x, n=n: myad.exp(x) * n for n in range(4)]
    for function in functions:
        myad.jit(function)(X)
    for function in reversed(functions):
        myad.jit(lambda other_name, g=function: g(other_name))(X)
    assert len(made) == 4


def test_equal_programs_recorded_otherwise_are_one_text():
    texts = set()
    for names in (("a",), ("b.c",)):
        program, _ = trace(lambda x: myad.sin(x) + np.ones(3), np.zeros(3), names=names)
        texts.add(canonical(program))
    assert len(texts) == 1
    (text,) = texts
    assert "sin" in text


def test_what_a_name_does_not_describe_is_not_kept(kept, made):
    strange = Primitive(lambda x: np.sin(x))
    strange.name = "strange"
    strange.shape_rule, strange.kernel_rule = myad.ops.sin.shape_rule, lambda k, x: None
    program, _ = trace(lambda x: strange(x), X)
    assert canonical(program) is None
    program, _ = trace(myad.sin, X)
    (step,) = program.steps
    step.static = {"setting": object()}
    assert canonical(program) is None
    step.static = {"setting": (1, 2.0, None, "x", slice(1, None, 2), np.dtype("f4"), np.int8)}
    assert canonical(program) is not None


@pytest.mark.parametrize("part", ["cpu", "llvm", "sources"])
def test_another_processor_llvm_or_library_finds_nothing(part, kept, made, monkeypatch):
    double = lambda x: x * 2.0  # noqa: E731 (the same function twice)
    myad.jit(double)(X)
    monkeypatch.setattr(identity, part, lambda *args: "another")
    identity._base.cache_clear()
    try:
        myad.jit(double)(X)
        assert len(made) == 2
        monkeypatch.setattr(identity, part, lambda *args: None)
        identity._base.cache_clear()
        before = len(list(kept.path.iterdir()))
        myad.jit(double)(X)
        myad.jit(double)(X)
        assert len(made) == 4  # in doubt nothing is kept
        assert len(list(kept.path.iterdir())) == before
    finally:
        monkeypatch.undo()
        identity._base.cache_clear()


def test_another_processor_of_llvms_or_narrower_vectors_find_nothing(kept, made, monkeypatch):
    double = lambda x: x * 2.0  # noqa: E731
    myad.jit(double)(X)
    monkeypatch.setattr(load, "processor", lambda: native.Processor("znver9", "+avx9"))
    myad.jit(double)(X)
    assert len(made) == 2


def test_a_library_that_changed_while_it_ran_is_in_doubt(tmp_path):
    (tmp_path / "room").mkdir()
    path = tmp_path / "room" / "file.py"
    path.write_text("x = 1")
    os.utime(path, ns=(1000, 1000))
    before = identity.sources(tmp_path, loaded_ns=2000)
    assert before is not None
    os.utime(path, ns=(1500, 1500))
    assert identity.sources(tmp_path, loaded_ns=2000) == before
    path.write_text("x = 2")
    assert identity.sources(tmp_path, loaded_ns=2000) is None
    os.utime(path, ns=(1500, 1500))
    assert identity.sources(tmp_path, loaded_ns=2000) not in (None, before)


def test_processors_are_told_apart_by_what_lasts(tmp_path):
    info = tmp_path / "cpuinfo"
    texts = [
        "model name\t: A\ncpu MHz\t\t: 1.0\nflags\t\t: sse avx\n\nmodel name\t: B\n",
        "model name\t: A\ncpu MHz\t\t: 2.0\nflags\t\t: sse avx\n",
        "model name\t: A\ncpu MHz\t\t: 1.0\nflags\t\t: sse\n",
        "cpu MHz\t\t: 1.0\n",
    ]
    found = []
    for text in texts:
        info.write_text(text)
        found.append(identity.cpu(info))
    assert found[0] == found[1] != found[2]
    assert found[3] is None
    assert identity.cpu(tmp_path / "nothing") is None


def test_content_that_is_not_ours_is_made_again(kept, made):
    double = lambda x: x * 2.0  # noqa: E731
    wanted = myad.jit(double)(X)
    (path,) = kept.path.iterdir()
    whole = kept.read(path.name)
    size, code = load._SIZES.unpack_from(whole)
    facts = json.loads(whole[load._SIZES.size : load._SIZES.size + size])
    broken = [
        b"", b"x" * 5, whole[:40], whole[: load._SIZES.size + size] + b"\0" * code,
        _with(whole, {**facts, "inputs": [99]}), _with(whole, {**facts, "places": [[1]]}),
        _with(whole, {}), _with(whole, []),
    ]  # fmt: skip
    for n, content in enumerate(broken):
        assert kept.write(path.name, content)
        same([myad.jit(double)(X)], [wanted])
        assert len(made) == n + 2
    same([myad.jit(double)(X)], [wanted])
    assert len(made) == len(broken) + 1


def _with(whole, facts):
    size, code = load._SIZES.unpack_from(whole)
    text = json.dumps(facts).encode()
    return load._SIZES.pack(len(text), code) + text + whole[load._SIZES.size + size :]


def test_places_come_back_as_they_were():
    program, _ = trace(f, X, X)
    module = load.module_of(build(program, native.host(), arrays=True), poison=1)
    facts, blob = packed(module.places)
    again = unpacked(json.loads(json.dumps(facts)), blob)
    assert packed(again) == (facts, blob)
    facts["size"] = 0
    with pytest.raises(ValueError, match="is not in the arena"):
        unpacked(facts, blob)


SECOND_PROCESS = """
import sys, numpy as np, myad
from myad.compiled import available, compile_training
assert available()
x = np.linspace(-1, 1, 37)
print(myad.jit(lambda x: (myad.tanh(x) ** 2.5, x.sum()))(x)[0].tobytes().hex())
print(sorted({m.partition(".")[0] for m in sys.modules} & {"llvmlite"}))
print(sorted(m for m in sys.modules if m.startswith(("myad.compile.kernels.fuse",
      "myad.compile.loops.lower", "myad.compile.build"))))
"""


@pytest.mark.parametrize("variable", ["MYAD_CACHE", "XDG_CACHE_HOME"])
def test_a_second_process_needs_no_llvm_and_no_stages(tmp_path, variable):
    """`bench` gives each engine a folder of the run as XDG_CACHE_HOME."""
    environment = {**os.environ, "MYAD_CACHE": "", variable: str(tmp_path / "myad")}
    command = [sys.executable, "-c", SECOND_PROCESS]
    first, second = (
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    )
    assert first.splitlines()[0] == second.splitlines()[0]
    assert "llvmlite" in first
    if elf.is_supported():
        assert second.splitlines()[1:] == ["[]", "[]"]
    folder = tmp_path / "myad" / "myad" if variable == "XDG_CACHE_HOME" else tmp_path / "myad"
    assert len(list(folder.iterdir())) == 2  # the processor and the program


def test_switched_off_nothing_is_written(tmp_path):
    environment = {**os.environ, "MYAD_CACHE": "0", "HOME": str(tmp_path)}
    environment["XDG_CACHE_HOME"] = str(tmp_path)
    subprocess.run([sys.executable, "-c", SECOND_PROCESS], env=environment, check=True,
                   capture_output=True)  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_llvm_loads_what_we_do_not(monkeypatch, kept, made):
    wanted = myad.jit(f)(X, X)
    monkeypatch.setattr(elf, "is_supported", lambda: False)
    same(myad.jit(f)(X, X), wanted)  # found on disk, loaded by LLVM
    assert len(made) == 1
    for content in kept.path.iterdir():
        content.unlink()
    for _ in range(2):
        same(myad.jit(f)(X, X), wanted)  # as other systems compile
    assert len(made) == 2


def test_what_cannot_be_loaded_here_is_made_again_and_loaded_by_llvm(monkeypatch, kept, made):
    def refused(code):
        raise elf.Unloadable("memory may not be made executable")

    wanted = myad.jit(f)(X, X)
    monkeypatch.setattr(elf, "Code", refused)
    same(myad.jit(f)(X, X), wanted)
    assert len(made) == 2
