"""The example engine in C, compiled here, beside myad in one run that is verified first."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.data.cache import CACHE_VARIABLE
from harness.errors import UsageError
from harness.machine.lock import LOCK_VARIABLE
from harness.records.store import read_run
from harness.run.loop import start
from harness.run.options import RunOptions
from harness.workload.format import load
from harness.workload.shapes import resolve

SOURCE = Path(__file__).parent.parent / "examples" / "engine.c"
LINES = 200  # what somebody reads before they write an engine of their own
SETTINGS = ("data.train_limit=300", "data.test_limit=100", "training.batch_size=7")


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    """The compiled example; without a C compiler its tests are skipped."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler (cc, gcc or clang)")
    target = tmp_path_factory.mktemp("example") / "engine"
    command = [compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-o", target, SOURCE, "-lm"]
    subprocess.run(command, check=True)
    return target


@pytest.fixture(autouse=True)
def _own_folders(tmp_path_factory, tmp_path, monkeypatch):
    # one cache for the module: MNIST is converted once
    cache = tmp_path_factory.getbasetemp() / "examples-cache"
    monkeypatch.setenv(CACHE_VARIABLE, str(cache))
    monkeypatch.setenv(LOCK_VARIABLE, str(tmp_path / "host.lock"))


def options(program: Path, results: Path, **changes) -> RunOptions:
    given = {
        "preset": "smoke",
        "settings": SETTINGS,
        "engines": "myad",
        "commands": (f"c={program}",),
        "repeats": 1,
        "warmups": 0,
        "name": "example",
        "results": results,
    }
    return RunOptions(**{**given, **changes})


def test_the_example_is_one_short_file():
    assert list(SOURCE.parent.glob("*.[ch]")) == [SOURCE]
    lines = SOURCE.read_text(encoding="utf-8").splitlines()
    assert len(lines) < LINES
    assert max(map(len, lines)) <= 100


def test_the_c_engine_runs_beside_myad(program, tmp_path):
    ended = start(options(program, tmp_path))
    run = read_run(ended.folder)
    assert ended.exit_code == 0, [trial.failure for trial in run.trials]
    trials = {trial.engine: trial for trial in run.valid()}
    assert set(trials) == {"myad", "c"}
    assert trials["c"].accuracy == trials["myad"].accuracy
    losses = [trials[name].train.epochs[0].loss for name in ("c", "myad")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert run.manifest.verification is not None
    assert run.manifest.verification["ok"]


def test_a_workload_it_cannot_run_is_refused_before_the_run(program, tmp_path):
    with pytest.raises(UsageError, match="'c' cannot run workload 'lenet5': layers other than"):
        start(options(program, tmp_path, preset="lenet5", settings=SETTINGS[:2]))
    assert list(tmp_path.glob("example")) == []


def test_colour_several_filters_and_an_order_of_its_own_in_each_epoch(program, tmp_path):
    settings = (
        "data.dataset=synthetic-colour",
        *SETTINGS,
        "model.layers.0.filters=3",
        "model.layers.0.kernel_size=[4, 5]",
        "training.epochs=2",
        "training.shuffle=true",
    )
    ended = start(options(program, tmp_path, settings=settings))
    run = read_run(ended.folder)
    assert ended.exit_code == 0, [trial.failure for trial in run.trials]
    losses = {trial.engine: [epoch.loss for epoch in trial.train.epochs] for trial in run.valid()}
    assert losses["c"] == pytest.approx(losses["myad"], rel=1e-5)


@pytest.mark.parametrize(
    ("setting", "word"),
    {
        "model.layers.0.padding=same": "layers",
        "model.layers.0.strides=2": "layers",
        "model.layers.1.strides=1": "layers",
        "model.layers.1.type=average_pooling2d": "layers",
        "model.layers.3.use_bias=false": "layers",
        "training.optimizer=adam": "training",
        "training.momentum=0.5": "training",
        "training.dtype=float64": "training",
    }.items(),
)
def test_what_it_does_not_know_is_unsupported(program, tmp_path, setting, word):
    resolved = resolve(load("smoke", [setting]).document(), (28, 28, 1), 10)
    job = tmp_path / "job.json"
    job.write_text(json.dumps({"protocol": 1, "phase": "train", "workload": resolved}))
    ended = subprocess.run(
        [program, "train", "--job", job], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 69
    assert ended.stderr.startswith(f"unsupported: {word} other than")
