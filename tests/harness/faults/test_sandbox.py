"""`--sandbox`: bubblewrap, in real processes where it works here; the error where it does not."""

import json
import os
import shutil
import signal
import socket

import pytest

from harness import cli
from harness.process import sandbox
from harness.process.sandbox import SandboxError
from harness.records.store import read_manifest, read_run
from harness.run import loop as runner


@pytest.fixture
def works():
    """Skip, saying why, where there is no sandbox here."""
    try:
        sandbox.check()
    except SandboxError as error:
        # told without the harness: that it finds none may be what is broken
        program = shutil.which("bwrap")
        assert program is None or os.system(f"{program} --ro-bind / / --unshare-all true") != 0
        pytest.skip(str(error))


@pytest.fixture
def seen(works, home, fakes, monkeypatch):
    """What an engine in a sandbox could do, by process."""
    monkeypatch.setenv("TF_TOKEN_app_terraform_io", "secret")
    with socket.create_server(("127.0.0.1", 0)) as server:
        outside = home / f"{server.getsockname()[1]}-outside"
        options = fakes(f"a=touch_everything:{outside}", sandbox=True)
        run = read_run(runner.start(options).folder)
    (trial,) = run.trials
    assert trial.valid, trial.failure
    assert not outside.exists()
    assert not os.path.exists("/etc/bench-was-here")  # noqa: PTH110
    folders = (run.trial_folder(trial, process) for process in ("train", "test"))
    return [json.loads((folder / "seen.json").read_text()) for folder in folders]


def test_writes_to_its_own_folder_alone_and_has_no_network(seen):
    for found in seen:
        assert found["own"]
        assert not found["system"]
        assert not found["network"]


def test_sees_no_other_process_and_no_secret(seen):
    for found in seen:
        assert found["processes"] <= 3
        assert not {name for name in found["env"] if name.startswith("TF_TOKEN")}
        assert "OMP_NUM_THREADS" in found["env"]


def test_is_in_the_manifest_and_told_in_the_report(works, home, fakes, capsys):
    ended = runner.start(fakes("a=ok", sandbox=True))
    assert read_manifest(ended.folder).sandbox == "bubblewrap"
    assert cli.main(["report", "r", "--format", "md"]) == 0
    assert "sandbox (bubblewrap)" in capsys.readouterr().out


ENDS = {
    "segfault": ("segfault", "signal", "SIGSEGV"),
    "exit": ("exit_after_report:3", "exit_nonzero", "exit code 3"),
    "hang": ("hang", "timeout", "the limit is 2 s"),
    "daemon": ("ignore_term", "timeout", "the limit is 2 s"),
}


@pytest.mark.parametrize(("behaviour", "outcome", "reason"), ENDS.values(), ids=ENDS)
def test_ends_are_told_as_without_one(works, home, fakes, leftovers, behaviour, outcome, reason):
    ended = runner.start(fakes(f"a={behaviour}", sandbox=True, timeout_s=2.0))
    (trial,) = read_run(ended.folder).trials
    assert trial.train.outcome == outcome
    assert reason in trial.train.reason
    assert leftovers() == []


def test_a_real_engine_works_in_it(works, home, capsys):
    command = ["run", "--preset", "tiny.toml", "--engines", "myad", "--repeats", "1"]
    assert cli.main([*command, "--warmup", "0", "--sandbox", "--name", "r"]) == 0
    (trial,) = read_run(home / "results" / "r").trials
    assert trial.valid


def test_missing_program_is_one_line(home, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(home))
    command = ["run", "--preset", "tiny.toml", "--engines", "myad-eager", "--sandbox"]
    assert cli.main(command) == 2
    assert "bench: --sandbox: bwrap is not installed" in capsys.readouterr().err
    assert not (home / "results").exists()


def test_program_that_does_not_work_here_is_one_line(home, monkeypatch):
    (home / "bwrap").write_text("#!/bin/sh\necho 'bwrap: No permissions' >&2\nexit 1\n")
    (home / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{home}:{os.environ['PATH']}")
    with pytest.raises(SandboxError, match=r"does not work here \(bwrap: No permissions\)"):
        sandbox.check()


@pytest.mark.parametrize(("code", "signal_"), [(139, signal.SIGSEGV), (137, signal.SIGKILL)])
def test_exit_code_that_stands_for_a_signal_is_one(code, signal_):
    assert sandbox.ended({"exit_code": code}) == {"exit_code": None, "signal": signal_}


@pytest.mark.parametrize("answer", [{}, {"exit_code": 0}, {"exit_code": 3}, {"exit_code": None}])
def test_other_answers_stay(answer):
    assert sandbox.ended(answer) == answer
