"""What `bench` takes before a command: its version, and completion for shells."""

import importlib.metadata
import os
import subprocess
import sys

import pytest

from harness.cli import main

BENCH = [sys.executable, "-m", "harness.cli"]


def complete(line: str, word: int) -> list[str]:
    """What bash is offered at the place of word number `word` of a line."""
    asked = {"_BENCH_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(word)}
    done = subprocess.run(
        BENCH, env={**os.environ, **asked}, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_version_is_that_of_the_distribution(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"bench {importlib.metadata.version('myad-bench')}\n"


def test_version_of_sources_that_are_not_installed(capsys, monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert main(["--version"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("bench: --version: myad-bench runs from its sources and is not installed")
    assert err.count("\n") == 1


def test_completion_of_commands_and_options():
    assert complete("bench re", 1) == ["report"]
    assert "--preset" in complete("bench run --pre", 2)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_installed_where_the_shell_reads_it(shell, tmp_path):
    home = {**os.environ, "HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    # a shell above this process is what tells typer which completion to install
    home["_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION"] = "1"
    done = subprocess.run(
        [*BENCH, "--install-completion", shell],
        env=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any("_BENCH_COMPLETE" in path.read_text() for path in written)


def test_help_names_the_options_in_few_lines(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    first = next(i for i, line in enumerate(lines) if "Options" in line)
    last = next(i for i, line in enumerate(lines) if "Commands" in line)
    text = "\n".join(lines[first:last])
    for option in ("--version", "--install-completion", "--show-completion", "--help"):
        assert option in text
    assert last - first <= 8
