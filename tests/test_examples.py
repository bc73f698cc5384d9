"""The example engine in C, compiled here, beside myad in one run that is verified first."""

import shutil
import subprocess
from pathlib import Path

import pytest

from harness.data.cache import CACHE_VARIABLE
from harness.errors import UsageError
from harness.lock import LOCK_VARIABLE
from harness.options import RunOptions
from harness.run import start
from harness.store import read_run

SOURCE = Path(__file__).parent.parent / "examples" / "engine.c"
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
