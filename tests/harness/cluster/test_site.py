"""What `--cluster`, `--cluster-tls` and `bench worker` take, and one line for all else."""

import pytest

from harness import cli

pytest.importorskip("distributed", reason="distributed not installed (extra 'cluster')")

from harness.cluster import needs
from harness.cluster.site import Local, Scheduler, read_security, site
from harness.cluster.slurm import Slurm
from harness.errors import UsageError

TLS = 'ca_file = "ca.pem"\ncert = "cert.pem"\nkey = "key.pem"\n'


@pytest.fixture
def files(home):
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (home / name).write_text("made")
    (home / "tls.toml").write_text(TLS)
    (home / "slurm.toml").write_text('[slurm]\nqueue = "bench"\njobs = 4\n')
    (home / "strange.toml").write_text("[kubernetes]\n")
    (home / "half.toml").write_text('ca_file = "ca.pem"\n')
    (home / "away.toml").write_text(TLS.replace("cert.pem", "away.pem"))
    (home / "broken.toml").write_text("[")
    return home


def test_kinds(files):
    assert site("tcp://node0:8786") == Scheduler("tcp://node0:8786")
    assert site("local:3", commands=["a=b"]) == Local(3, None, ("a=b",), ())
    assert isinstance(site("slurm.toml"), Slurm)
    assert site("tls://10.0.0.1:8786", tls=files / "tls.toml").security.require_encryption


def test_tls_files_are_those_beside_the_file(files):
    found = read_security(files / "tls.toml")
    for role in ("client", "worker", "scheduler"):
        wanted = found.get_tls_config_for_role(role)
        assert wanted["ca_file"] == str(files / "ca.pem")
        assert wanted["key"] == str(files / "key.pem")


WRONG = {
    "kind": (["--cluster", "node0"], "--cluster 'node0': expected tcp://scheduler:8786"),
    "no-port": (["--cluster", "tcp://node0"], "expected tcp://scheduler:8786"),
    "none": (["--cluster", "local:0"], "local:2"),
    "many": (["--cluster", "local:999"], "local:2"),
    "no-file": (["--cluster", "away/slurm.toml"], "away/slurm.toml: "),
    "strange": (["--cluster", "strange.toml"], "kubernetes: no such key; allowed: slurm"),
    "broken": (["--cluster", "broken.toml"], "broken.toml: "),
    "tls-alone": (["--cluster-tls", "tls.toml"], "give both"),
    "tls-half": (
        ["--cluster", "tls://a:1", "--cluster-tls", "half.toml"],
        "half.toml: needs ca_file, cert, key",
    ),
    "tls-away": (["--cluster", "tls://a:1", "--cluster-tls", "away.toml"], "there is no file"),
}


@pytest.mark.parametrize(("arguments", "complaint"), WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("command", [["run"], ["sweep", "--set", "training.epochs=1,2"]])
def test_wrong_usage_is_one_line(files, capsys, command, arguments, complaint):
    assert cli.main([*command, *arguments]) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.count("\n") == 1
    assert complaint in errors
    assert not (files / "results").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["node0"], "'node0': expected a scheduler such as tcp://host:8786."),
        (["tcp://node0:8786", "--command", "a/b=c"], "engine name 'a/b'"),
        (["tcp://node0:8786", "--cluster-tls", "away/tls.toml"], "away/tls.toml"),
    ],
)
def test_wrong_usage_of_a_worker_is_one_line(files, capsys, arguments, complaint):
    assert cli.main(["worker", *arguments]) == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert complaint in errors


def test_without_the_extra_its_name_is_told(files, capsys, monkeypatch):
    monkeypatch.setattr(needs, "find_spec", lambda name: None)
    assert cli.main(["run", "--cluster", "local:2"]) == 2
    assert "pip install 'myad-bench[cluster]'" in capsys.readouterr().err
    assert cli.main(["worker", "tcp://node0:8786"]) == 2
    assert "pip install 'myad-bench[cluster]'" in capsys.readouterr().err


def test_options_of_slurm_that_it_does_not_know(files):
    with pytest.raises(UsageError, match=r"\[slurm\] colour: no such option; .*walltime"):
        Slurm({"slurm": {"colour": "red"}}, None, (), ())
