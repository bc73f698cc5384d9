"""Two versions of one engine: what a person may name, and a run of both from nothing."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from harness import cli
from harness.errors import UsageError
from harness.records.store import read_run
from harness.run import ab

ENGINE = """
import sys
sys.path.insert(0, {fakes!r})
import json
from answer import Fake
from version import VERSION
with open(sys.argv[3]) as file:
    job = json.load(file)
print(VERSION)
Fake(job).finish()
"""
FAKES = str(Path(__file__).parent.parent.parent / "fakes")


@pytest.fixture
def repository(home, monkeypatch):
    """A repository with two commits of an engine `mine`, which says its version."""
    folder = home / "project"
    folder.mkdir()
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "A Person")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "a@example.org")

    def git(*arguments):
        subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)

    git("init", "-q")
    (folder / "engine_mine.py").write_text(ENGINE.format(fakes=FAKES))
    for version in ("first", "second"):
        (folder / "version.py").write_text(f"VERSION = {version!r}\n")
        git("add", ".")
        git("commit", "-q", "-m", version)
    (folder / "outside").symlink_to("/etc")
    git("add", ".")
    git("commit", "-q", "-m", "a link that leads out")
    (folder / "version.py").write_text("VERSION = 'uncommitted'\n")
    monkeypatch.chdir(folder)
    (folder / "tiny.toml").write_text((home / "tiny.toml").read_text())
    return folder


def outputs(folder, engine):
    run = read_run(folder)
    trial = next(t for t in run.valid() if t.engine == engine)
    return trial.train.stdout_tail.strip()


def test_commits_and_a_working_tree_meet_their_own_modules(repository, capsys):
    arguments = ["--engine", "mine", "--preset", "tiny.toml", "--repeats", "2", "--warmup", "0"]
    arguments += ["--no-verify", "--settle", "0", "--results", "results"]
    assert cli.main(["ab", "HEAD~2", "HEAD~1", *arguments, "--name", "commits"]) == 0
    assert cli.main(["ab", "HEAD", ".", *arguments, "--name", "tree"]) == 0
    assert outputs(Path("results/commits"), "old") == "first"
    assert outputs(Path("results/commits"), "new") == "second"
    assert outputs(Path("results/tree"), "new") == "uncommitted"
    manifest = read_run(Path("results/commits")).manifest
    assert (manifest.rule.baseline, [e.name for e in manifest.engines]) == ("old", ["old", "new"])
    assert cli.main(["gate", "commits", "--results", "results"]) in (0, 1, 4)
    capsys.readouterr()


def test_tree_of_a_commit_holds_no_way_out(repository):
    place = ab.laid_out(ab._commit("HEAD"))
    assert (place / "engine_mine.py").is_file()
    assert not (place / "outside").exists()
    assert ab.laid_out(place.name, archive=lambda _: pytest.fail("made twice")) == place


def test_an_interpreter_runs_this_tree_s_engine(home):
    line = ab.command("new", sys.executable, "myad").partition("=")[2]
    assert shlex.split(line)[:2] == [sys.executable, "-P"]


def test_a_command_is_taken_as_it_is(home):
    assert ab.command("old", f"{sys.executable} -c pass", "x") == f"old={sys.executable} -c pass"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no-such-thing", "no commit of this repository, no folder"),
        ("--upload-pack=x", "no commit of this repository"),
        (".", "there is no engine_x.py in it"),
    ],
)
def test_what_is_no_version_is_one_line(home, text, message):
    with pytest.raises(UsageError, match=message):
        ab.command("old", text, "x")
