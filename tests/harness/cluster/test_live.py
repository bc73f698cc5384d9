"""Dask itself: a scheduler and workers as processes, a run over them, and what they refuse."""

import os
import shlex
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from harness import cli
from harness.data.cache import ARRAYS, CACHE_VARIABLE
from harness.data.load import load
from harness.errors import UsageError
from harness.records.store import read_run
from harness.run import loop
from tests.harness.cluster import faults
from tests.harness.conftest import fake_command

pytest.importorskip("distributed", reason="distributed not installed (extra 'cluster')")

from harness.cluster import tasks
from harness.cluster.commander import Cluster, Patience
from harness.cluster.link import Link, LinkBroken
from harness.cluster.messages import Order, Proof, Question, project
from harness.cluster.site import Scheduler, _free_port, _scheduler
from harness.run.plan import new_plan

ROOT = Path(__file__).resolve().parents[3]
WITHIN_S = 120.0
PEM = {"ca_file": "ca", "cert": "cert", "key": "key"}


def wait_for(condition):
    end = time.monotonic() + WITHIN_S
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return found


@pytest.fixture
def programs(home, monkeypatch):
    """programs(command, VARIABLE=value): started here, and ended with the test."""
    running = []

    def start(*command, **environment):
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **environment},
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
    for process in running:
        process.wait()
        process.stdin.close()


@pytest.fixture
def scheduler(programs):
    """The address of a scheduler."""
    port = _free_port()
    programs(*_scheduler(port))
    address = f"tcp://127.0.0.1:{port}"

    def answers():
        try:
            return Link(address).close() or True
        except LinkBroken:
            return False

    wait_for(answers)
    return address


def recorder(home, name):
    """The command of a fake engine that notes when it begins and ends."""
    script = home / f"{name}.sh"
    script.write_text(
        f"#!/bin/sh\necho begin >> {home}/marks\n{fake_command('seeded:0.1')} $@\n"
        f"echo end >> {home}/marks\n"
    )
    script.chmod(0o755)
    return f"{name}={script}"


def worker(address, *commands):
    """The command line of `bench worker`, and that of Dask's own with our preload."""
    given = [part for text in commands for part in ("--command", text)]
    return [sys.executable, "-m", "harness.cli", "worker", address, "--name", "ours", *given]


def dask_worker(address):
    return [
        *(sys.executable, "-m", "distributed.cli.dask_worker", address, "--name", "dasks"),
        *("--no-nanny", "--nthreads", "1", "--no-dashboard", "--resources", "bench=1"),
        *("--preload", "harness.cluster.preload"),
    ]


def test_two_workers_of_a_host_a_stranger_and_a_worker_that_differs(
    home, fakes, programs, scheduler
):
    commands = (recorder(home, "a"), recorder(home, "b"))
    other = home / "packages" / "numpy_helper-2.0.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy-helper\nVersion: 2.0\n")
    programs(*worker(scheduler, *commands))
    # a cache without the data set: it is sent
    cache = {CACHE_VARIABLE: str(home / "empty"), "BENCH_COMMANDS": "\n".join(commands)}
    programs(*dask_worker(scheduler), **cache)
    differs = [part if part != "ours" else "differs" for part in worker(scheduler, *commands)]
    programs(*differs, PYTHONPATH=str(other.parent))
    link = Link(scheduler)
    there = wait_for(lambda: len(found := link.workers()) == 3 and found)
    by_name = {name: address for address, name in there.items()}

    # A stranger with code: refused by every worker, and by the scheduler before
    future = link.order(
        os.mkdir, str(home / "victim"), key="strange", worker=by_name["ours"], measures=False
    )
    wait_for(lambda: future.status in ("error", "lost", "cancelled"))
    assert not (home / "victim").exists()
    link.close()

    # Two orders at the same time on one host, past the commander, which gives only one
    options = replace(fakes(repeats=2), commands=commands)
    plan = new_plan(options)
    question = Question(project=project(), manifest=plan.manifest).model_dump_json()
    link = Link(scheduler)
    for name in ("ours", "dasks"):
        proof = asked(link, by_name[name], question)
        if proof.missing:
            arrays = [load("tiny").paths[key].read_bytes() for key in ARRAYS]
            answered(
                link, link.order(tasks.take_data, "tiny", 10, *arrays, key=f"d{name}",
                                 worker=by_name[name], measures=False)
            )  # fmt: skip
            proof = asked(link, by_name[name], question)
        assert proof.refused == ""
    differing = asked(link, by_name["differs"], question)
    assert "packages.numpy-helper: None → 2.0" in differing.refused
    assert differing.machine is None
    orders = []
    for block, name in enumerate(("ours", "dasks")):
        trials = [p for p in plan.manifest.schedule if p.block == block]
        text = Order(run=proof.run, ticket=name, trials=trials).model_dump_json()
        orders.append(
            link.order(tasks.carry_out, text, key=f"o{name}", worker=by_name[name], measures=True)
        )
    for order in orders:
        wait_for(lambda order=order: order.status == "finished")
    link.close()
    marks = (home / "marks").read_text().split()
    assert marks == ["begin", "end"] * 8

    # A run over all of them
    options = replace(options, name="over")
    patience = Patience(look_s=0.2, machine_s=5.0)
    ended = loop.start(options, crew=Cluster(Scheduler(scheduler), patience))
    run = read_run(ended.folder)
    assert ended.exit_code == 0, ended.sentence
    assert len(run.valid()) == 4
    assert len(run.machines) == 1
    assert (home / "marks").read_text().split() == ["begin", "end"] * 16


def asked(link, address, question):
    future = link.order(
        tasks.prove, question, key=f"q{time.monotonic_ns()}", worker=address, measures=False
    )
    return Proof.model_validate_json(answered(link, future))


def answered(link, future):
    wait_for(lambda: future.status != "pending")
    return link.result(future)


def test_kills_of_worker_scheduler_and_commander_lose_and_double_nothing(home, leftovers):
    """The short form of `make cluster-faults`; the undisturbed run is one without any cluster."""
    run, killed = faults.disturbed(home / "f", blocks=6, kills=3, seed=3)
    assert sorted(killed) == sorted(faults.VICTIMS)
    told = faults.figures(run)
    calm = faults.figures(faults.alone(home / "calm", blocks=6))
    assert told == calm
    wait_for(lambda: leftovers() == [])


def test_a_scheduler_that_is_not_there(fakes):
    with pytest.raises(UsageError, match=r"no scheduler answers at tcp://127\.0\.0\.1:9: "):
        loop.start(fakes("a=ok"), crew=Cluster(Scheduler("tcp://127.0.0.1:9")))


def test_job_of_a_slurm_queue(tmp_path):
    """What would be handed to sbatch."""
    from harness.cluster.slurm import Slurm

    slurm = Slurm(
        {
            "slurm": {"queue": "bench", "cores": 8, "memory": "16GB", "walltime": "02:00:00",
                      "job_extra_directives": ["--exclusive"], "jobs": 3},
            "worker": {"engine_paths": ["/scratch/my engines"]},
        },
        None,
        ("mine=./engine --fast",),
        (),
    )  # fmt: skip
    script = slurm.job("tcp://10.0.0.1:8786")
    assert "#SBATCH -p bench" in script
    assert "#SBATCH --exclusive" in script
    assert "-m harness.cli worker tcp://" in script
    assert "--command 'mine=./engine --fast' --engine-path '/scratch/my engines'" in script


def test_a_job_of_slurm_is_a_worker(tmp_path, monkeypatch):
    """Its command line, TLS and interface and all, is one that `bench worker` takes."""
    from harness.cluster.site import security_of
    from harness.cluster.slurm import Slurm

    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).write_text("made")
    files = {key: str(tmp_path / f"{name}.pem") for key, name in PEM.items()}
    options = {"slurm": {"interface": "lo", "protocol": "tls://"}}
    slurm = Slurm(options, security_of(files), ("mine=./engine --fast",), ())
    template = slurm.job("tls://10.0.0.1:8786")
    line = next(line for line in template.splitlines() if "harness.cli" in line)
    seen = []
    monkeypatch.setattr("harness.cluster.worker.serve", lambda *a, **k: seen.append((a, k)) or 0)
    arguments = shlex.split(line.partition("harness.cli ")[2])
    assert cli.main(arguments) == 0
    ((address, me), given) = seen[0]
    assert address == "tls://10.0.0.1:8786"
    assert me.commands == ("mine=./engine --fast",)
    assert given["interface"] == "lo"
    assert given["death_timeout_s"] == 120
    assert given["security"].get_tls_config_for_role("worker")["key"] == files["key"]
