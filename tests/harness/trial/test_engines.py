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
from harness.trial.engines import ROOT, Engine, able, choose, find, parse_command, split_command


def test_the_projects_engines_are_found():
    found = find()
    assert {"myad", "myad-eager", "tensorflow", "pytorch", "jax"} <= set(found)
    assert found["myad"].source == "file"
    assert found["myad"].entry().command == ["python", "engines/engine_myad.py"]
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


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A current folder of a person's own, empty."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_a_file_in_the_current_folder_is_an_engine(here):
    (here / "engine_mine.py").write_text('"""Mine."""')
    (here / "other.py").write_text("import no_such_module")
    (here / "deeper").mkdir()
    (here / "deeper" / "engine_deep.py").write_text("")
    (here / "engine_no engine!.py").write_text("")
    found = find()
    assert (found["mine"].summary, found["mine"].can_run) == ("Mine.", True)
    assert found["mine"].command == (sys.executable, str(here / "engine_mine.py"))
    assert found["mine"].entry().command == ["python", "engine_mine.py"]
    assert "deep" not in found
    assert "myad" in found


def test_engine_path_names_more_folders(here, tmp_path, capsys, monkeypatch):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"engine_{name}.py").write_text("")
    given = [arg for name in ("one", "two") for arg in ("--engine-path", str(tmp_path / name))]
    assert cli.main(["engines", "--format", "json", *given]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert {"one", "two"} <= set(rows)
    # outside of project, home and current folder a manifest has the name alone
    assert rows["one"]["command"] == ["python", "engine_one.py"]
    both = os.pathsep.join(str(tmp_path / name) for name in ("one", "two"))
    monkeypatch.setenv("BENCH_ENGINE_PATH", both)
    assert cli.main(["engines", "--format", "json"]) == 0
    assert {"one", "two"} <= {row["name"] for row in json.loads(capsys.readouterr().out)}


def test_engine_path_that_is_not_there(here):
    with pytest.raises(UsageError, match="--engine-path nowhere: there is no such folder"):
        find(folders=[Path("nowhere")])


def test_the_current_folder_may_be_a_room_or_an_engine_path(here, monkeypatch):
    (here / "engine_mine.py").write_text("")
    assert "mine" in find(folders=[here, Path()])
    monkeypatch.chdir(ROOT / "engines")
    assert "myad" in find()


def test_a_name_of_the_projects_is_taken(here):
    (here / "engine_myad.py").write_text("")
    both = "'myad': engines/engine_myad.py and engine_myad.py; rename one"
    with pytest.raises(UsageError, match=both):
        find()


def test_siblings_are_found_hashed_and_importable(here):
    (here / "engine_mine.py").write_text("import json\nfrom model import net\nimport pack.part\n")
    (here / "model.py").write_text("import trees\n")
    (here / "trees.py").write_text("value = 1\n")
    (here / "pack").mkdir()
    (here / "pack" / "__init__.py").write_text("")
    (here / "pack" / "part.py").write_text("from . import other\nfrom .third import x\n")
    (here / "pack" / "other.py").write_text("")
    (here / "pack" / "third.py").write_text("x = 1\n")
    (here / "unused.py").write_text("")
    engine = find()["mine"]
    assert engine.missing == ()
    names = [path.relative_to(here).as_posix() for path in engine.files]
    assert names == [
        *("engine_mine.py", "model.py", "pack/__init__.py", "pack/other.py", "pack/part.py"),
        *("pack/third.py", "trees.py"),
    ]
    before = engine.entry().sha256
    (here / "trees.py").write_text("value = 2\n")
    assert find()["mine"].entry().sha256 != before
    (here / "model.py").write_text("net = 1\n")
    subprocess.run(engine.command, cwd=ROOT / "docs", check=True)


@pytest.mark.parametrize(
    ("missing", "needs"),
    {
        ("torch",): "needs torch: pip install 'myad-bench[pytorch]'",
        ("keras", "tensorflow"): "needs keras, tensorflow: pip install 'myad-bench[tensorflow]'",
        ("jax", "other"): "needs jax, other: pip install 'myad-bench[jax]'",
        ("other",): "needs other",
    }.items(),
)
def test_what_installs_a_missing_module(missing, needs):
    assert Engine("mine", ("x",), "file", missing=missing).needs == needs


def test_engines_command_tells_what_is_missing(here, capsys):
    (here / "engine_mine.py").write_text('"""Mine."""\nimport no_such_module\n')
    assert cli.main(["engines"]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    place = next(i for i, line in enumerate(lines) if line.startswith("mine "))
    assert lines[place].split() == ["mine", "cannot", "run", "Mine."]
    assert lines[place + 1] == "needs no_such_module"


def test_what_cannot_run_is_left_out_by_name(capsys):
    fine = Engine("fine", ("x",), "file")
    away = Engine("away", ("x",), "file", missing=("torch",))
    program = Engine("c", ("./c",), "command", missing=("./c",))
    assert able([fine, away, program]) == [fine, program]
    said = "bench: engine 'away' is left out: needs torch: pip install 'myad-bench[pytorch]'\n"
    assert capsys.readouterr().err == said
    with pytest.raises(UsageError, match=r"no engine can run here\. engine 'away' is left out"):
        able([away])


@pytest.mark.parametrize("command", ["run", "verify", "sweep", "curves"])
def test_commands_leave_out_what_cannot_run(command, home, capsys):
    (home / "engine_mine.py").write_text("import no_such_module\n")
    arguments = [command, "--preset", "tiny.toml", "--engines", "mine"]
    arguments += ["--set", "training.epochs=1"] if command != "run" else []
    assert cli.main(arguments) == 2
    assert "engine 'mine' is left out: needs no_such_module" in capsys.readouterr().err
    assert not (home / "results").exists()


@pytest.mark.parametrize(
    ("windows", "line", "parts"),
    [
        (True, r"C:\tools\e.exe --fast", [r"C:\tools\e.exe", "--fast"]),
        (True, r'"C:\my tools\e.exe" -x', [r"C:\my tools\e.exe", "-x"]),
        (True, r"'C:\my tools\e.exe' \\host\x", [r"C:\my tools\e.exe", r"\\host\x"]),
        (False, r"my\ tools/e 'a b' #1", ["my tools/e", "a b", "#1"]),
    ],
)
def test_a_backslash_belongs_to_a_path_on_windows(windows, line, parts):
    assert split_command(line, windows=windows) == parts


def test_a_run_of_an_engine_path_goes_on(home, tmp_path_factory, capsys):
    """--resume finds the file again, or says how."""
    away = tmp_path_factory.mktemp("away")
    fake = Path(__file__).parents[2] / "fakes" / "engine.py"
    (away / "engine_third.py").write_text(THIRD.format(fake=str(fake)))
    given = ["--results", "results", "--name", "r"]
    started = ["--preset", "tiny.toml", "--engines", "third", "--repeats", "1", "--warmup", "0"]
    begun = cli.main(
        ["run", *started, *given, "--no-verify", "--engine-path", str(away), "--max-time", "1h"]
    )
    assert begun == 0, capsys.readouterr().err
    manifest = (home / "results" / "r" / "manifest.json").read_text()
    assert json.loads(manifest)["engines"][0]["command"] == ["python", "engine_third.py"]
    capsys.readouterr()
    assert cli.main(["run", "--resume", *given]) == 2
    assert "Name the folder of engine_third.py by --engine-path." in capsys.readouterr().err
    assert cli.main(["run", "--resume", *given, "--engine-path", str(away)]) == 0


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
    assert rows["myad"]["command"] == ["python", "engines/engine_myad.py"]


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
