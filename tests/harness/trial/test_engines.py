"""Finding engines: by file, by command, by name; a dropped file is enough."""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness import cli
from harness.errors import UsageError
from harness.trial.engines import ROOT, _below, choose, find, parse_command


def test_the_projects_engines_are_found():
    found = find()
    assert {"myad", "myad-eager", "tensorflow", "pytorch", "jax"} <= set(found)
    assert found["myad"].source == "file"
    assert found["myad"].entry().command == ["python", "-P", "engines/engine_myad.py"]
    assert len(found["myad"].entry().sha256 or "") == 64


def room(tmp_path, **files):
    (tmp_path / "engines").mkdir()
    for name, text in files.items():
        (tmp_path / "engines" / f"{name}.py").write_text(text)
    return tmp_path


def test_missing_framework_is_named_without_importing_anything(tmp_path):
    source = '"""A rival."""\ndef train():\n    import no_such_framework.core, json\n'
    root = room(tmp_path, engine_rival=source)
    engine = find(root)["rival"]
    assert (engine.summary, engine.missing, engine.can_run) == (
        "A rival.",
        ("no_such_framework",),
        False,
    )


def test_imports_of_a_neighbouring_file_count(tmp_path):
    root = room(
        tmp_path, engine_x="from engines.model_x import net\n", model_x="import nothing_here\n"
    )
    assert find(root)["x"].missing == ("nothing_here",)


def test_file_that_is_not_python_is_listed_as_broken(tmp_path):
    engine = find(room(tmp_path, engine_broken="def ("))["broken"]
    assert not engine.can_run
    assert "cannot be read" in engine.summary


def test_two_engines_of_one_name(tmp_path):
    root = room(tmp_path, engine_x="")
    (tmp_path / "tf_reference").mkdir()
    (tmp_path / "tf_reference" / "engine_x.py").write_text("")
    with pytest.raises(UsageError, match="two engines are called 'x'"):
        find(root)


def test_entry_point_becomes_an_engine(monkeypatch):
    point = importlib.metadata.EntryPoint("mine", "json.tool", "bench.engines")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [point])
    engine = find()["mine"]
    assert engine.source == "entry point"
    assert engine.command[1:] == ("-P", "-m", "json.tool")
    assert engine.can_run


def test_command_is_split_as_a_shell_would_and_never_run_by_one():
    engine = parse_command("mine=echo 'two words' $HOME; rm -rf x")
    assert engine.command[1:] == ("two words", "$HOME;", "rm", "-rf", "x")
    assert engine.command[0].endswith("/echo")


def test_relative_files_of_a_command_are_those_of_the_users_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "e.py").write_text("")
    engine = parse_command(f"mine={sys.executable} e.py")
    assert engine.command[1] == str(tmp_path / "e.py")
    assert engine.entry().command == ["python", "e.py"]


def test_choosing():
    known = find()
    assert [e.name for e in choose(None, (), known)] == ["myad", "tensorflow"]
    assert [e.name for e in choose("myad_eager", (), known)] == ["myad-eager"]
    given = choose("myad", ("mine=echo x",), known)
    assert [e.name for e in given] == ["myad", "mine"]
    assert [e.name for e in choose(None, ("mine=echo x",), known)] == ["mine"]
    assert {e.name for e in choose("all", (), known)} == {n for n, e in known.items() if e.can_run}


def test_engines_command_as_json(capsys):
    assert cli.main(["engines", "--format", "json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["myad"]["can_run"] is True
    assert rows["myad"]["command"] == ["python", "-P", "engines/engine_myad.py"]


THIRD = '''"""A third engine: the fake one, under a name of its own."""
import runpy, sys
sys.argv = [sys.argv[0], "ok", *sys.argv[1:]]
runpy.run_path({fake!r}, run_name="__main__")
'''


def test_dropped_engine_file_is_listed_and_runs_with_nothing_else_touched(home, tmp_path):
    """A copy of the project with one file more; the copy's own `bench` is run."""
    copy = tmp_path / "copy"
    ignored = shutil.ignore_patterns("__pycache__", "*.gz")
    shutil.copytree(ROOT / "harness", copy / "harness", ignore=ignored)
    fake = Path(__file__).parents[2] / "fakes" / "engine.py"
    (copy / "engines").mkdir()
    (copy / "engines" / "engine_third.py").write_text(THIRD.format(fake=str(fake)))
    environment = {**os.environ, "PYTHONPATH": str(copy)}

    def bench(*arguments):
        command = [sys.executable, "-m", "harness.cli", *arguments]
        return subprocess.run(
            command, env=environment, cwd=home, capture_output=True, text=True, check=False
        )

    listed = bench("engines")
    assert "third  can run     A third engine" in listed.stdout, listed.stderr
    ran = bench(
        *("run", "--preset", "tiny.toml", "--engines", "third", "--repeats", "1"),
        *("--warmup", "0", "--no-verify", "--name", "third"),
    )
    assert ran.returncode == 0, ran.stderr
    assert "bench: 1 of 1 trials valid" in ran.stderr


def test_a_path_of_windows_is_recorded_without_this_machines_folder():
    below = "C:\\Users\\ada\\engines\\mine.py"
    assert _below(below, "C:\\Users\\ada", "\\") == "engines/mine.py"
    assert _below("C:/Users/ada/mine.py", "C:/Users/ada", "\\") == "mine.py"
    assert _below("C:\\Users\\adam\\mine.py", "C:\\Users\\ada", "\\") is None
    assert _below("/home/ada/data/", "/home/ada", "/") == "data/"
