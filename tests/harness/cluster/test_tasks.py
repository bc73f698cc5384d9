"""What a worker answers: proof and refusals by name, data sets, orders; without Dask."""

import json
from dataclasses import replace

import pytest

from harness.cluster import messages, tasks
from harness.cluster.messages import Answer, Order, Proof, Question
from harness.data.cache import ARRAYS, CACHE_VARIABLE, open_dataset
from harness.machine import host
from harness.machine.lock import measuring
from harness.run import doctor
from harness.run.plan import new_plan
from tests.fakes.steady_worker import Steady


@pytest.fixture
def plan(home, fakes, monkeypatch):
    """The plan of a run of two engines given as commands, and a worker that has them."""
    options = fakes("a=seeded:0", "bb=seeded:0")
    worker = tasks.Worker(commands=options.commands, folder=home / "worker", make_runner=Steady)
    worker.machine = host.machine_record
    monkeypatch.setattr(tasks, "ME", worker)
    return new_plan(options)


def asked(plan, **changes):
    """The answer to a question about a plan's manifest, with changes; nothing is checked here."""
    manifest = plan.manifest.model_copy(update=changes)
    question = Question.model_construct(project=messages.project(), manifest=manifest)
    text = question.model_dump_json(warnings=False)
    return Proof.model_validate_json(tasks.prove(text))


def carried_out(plan, proof, *names, wanted=lambda: True):
    """Messages of an order of some trials."""
    trials = [p for p in plan.manifest.schedule if p.id in names]
    order = Order(run=proof.run, ticket="t", trials=trials)
    sent = []
    tasks.work(order.model_dump_json(), sent.append, wanted)
    return sent


def test_the_same_is_taken(plan):
    proof = asked(plan)
    assert (proof.refused, proof.missing) == ("", "")
    assert proof.machine.id == host.fingerprint(host.host())


REFUSED = {
    "package": ({"packages": {**host.packages(), "numpy": "1.0"}}, "packages.numpy: 1.0 → "),
    "project": ({"versions": {**host.versions(), "myad-bench": "9"}}, "versions.myad-bench: 9 → "),
    "processors": ({"cpus": [4000]}, "--cpus: no processor 4000 here."),
}


@pytest.mark.parametrize(("changes", "why"), REFUSED.values(), ids=REFUSED)
def test_what_differs_is_named(plan, changes, why):
    proof = asked(plan, **changes)
    assert why in proof.refused
    assert proof.machine is None


def test_other_sources_of_the_harness(plan):
    text = Question(project="0" * 64, manifest=plan.manifest).model_dump_json()
    assert "its harness is not the same" in Proof.model_validate_json(tasks.prove(text)).refused


def test_other_data_under_the_same_name(plan):
    data = json.loads(json.dumps(plan.manifest.data))
    data["sha256"]["train_images"] = "0" * 64
    assert "data.train_images: 000" in asked(plan, data=data).refused


def test_other_source_files_of_an_engine(plan):
    engines = [e.model_copy(update={"sha256": "0" * 64}) for e in plan.manifest.engines]
    assert "engine a: its source files have changed" in asked(plan, engines=engines).refused


def test_no_command_line_of_a_message_is_run(plan, home):
    """Not even one that the worker would find: it knows its engines by itself."""
    tasks.ME.commands = tasks.ME.commands[:1]
    refused = asked(plan).refused
    assert "engine 'bb' is a command, and none that comes over the network is run" in refused
    assert "--command bb='...'" in refused


OTHER_IDS = {
    "../../victim": "schedule.0.id",
    "0-a/../../victim": "schedule.0.id",
    "/etc": "schedule.0.id",
    "5-a": "trial '5-a' is none of these engines and blocks",
}


@pytest.mark.parametrize(("name", "why"), OTHER_IDS.items())
def test_ids_that_are_paths_or_of_no_block(plan, name, why):
    schedule = [p.model_copy() for p in plan.manifest.schedule]
    schedule[0].id = name
    assert why in asked(plan, schedule=schedule).refused


def test_fatal_findings_of_the_doctor(plan, monkeypatch):
    found = doctor.Finding("free memory", False, "0.1 GB", "close other programs")
    soft = doctor.Finding("quiet", False, "others use 40 % of a core")
    monkeypatch.setattr(tasks, "examine", lambda folder: [found, soft])
    tasks.machine.cache_clear()
    monkeypatch.setattr(tasks.ME, "machine", tasks.machine)
    assert asked(plan).refused == "bench doctor: free memory: 0.1 GB"
    monkeypatch.setattr(tasks, "examine", lambda folder: [soft])
    tasks.machine.cache_clear()
    assert asked(plan).machine.findings == ["quiet: others use 40 % of a core"]
    tasks.machine.cache_clear()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"project": 1}', "\x00"])
def test_nonsense_is_an_answer(plan, text):
    assert Proof.model_validate_json(tasks.prove(text)).refused
    sent = []
    tasks.work(text, sent.append, lambda: True)
    assert Answer.model_validate_json(sent[0]["answer"]).failure


def test_data_is_sent_once_by_content(plan, home, monkeypatch):
    there = open_dataset("tiny")
    arrays = [there.paths[key].read_bytes() for key in ARRAYS]
    monkeypatch.setenv(CACHE_VARIABLE, str(home / "empty"))
    assert asked(plan).missing == "tiny"
    assert Answer.model_validate_json(tasks.take_data("tiny", 10, *arrays)).failure == ""
    assert open_dataset("tiny").sha256 == there.sha256
    assert asked(plan).refused == ""
    again = Answer.model_validate_json(tasks.take_data("tiny", 10, *arrays))
    assert again.failure == "data set 'tiny' is here already."


def test_data_that_is_none(plan, home, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(home / "empty"))
    for name, arrays in {"../up": [b""] * 4, "x": [b"no array"] * 4, "y": [b""]}.items():
        assert Answer.model_validate_json(tasks.take_data(name, 10, *arrays)).failure
    assert not (home / "empty").exists()


def test_an_order(plan):
    sent = carried_out(plan, asked(plan), "0-a", "0-bb")
    told = [json.loads(m["trial"]) for m in sent if "trial" in m]
    assert [(t["id"], t["state"]) for t in told] == [
        (p.id, state) for p in plan.manifest.schedule for state in ("started", "finished")
    ]
    assert all(m["ticket"] == "t" for m in sent)
    assert "test/predictions.npy" in sent[1]["files"]
    assert sent[0]["files"] == {}
    assert json.loads(sent[-1]["answer"]) == {"failure": ""}


def test_an_order_before_the_proof(plan):
    proof = Proof(run="0" * 16)
    (answer,) = carried_out(plan, proof, "0-a")
    assert "has not proven itself" in answer["answer"]


def test_trials_of_another_run(plan):
    proof = asked(plan)
    stranger = replace(plan, manifest=plan.manifest.model_copy(deep=True))
    stranger.manifest.schedule[0].id = "../../victim"
    (answer,) = carried_out(stranger, proof, "../../victim")
    assert "trials.0.id" in answer["answer"]
    stranger.manifest.schedule[0].id = "7-a"
    (answer,) = carried_out(stranger, proof, "7-a")
    assert "none of this run" in answer["answer"]


def test_records_are_kept_until_the_next_order(plan):
    proof = asked(plan)
    first = carried_out(plan, proof, "0-a")
    again = carried_out(plan, proof, "0-a")
    assert [m["trial"] for m in again if "trial" in m] == [first[1]["trial"]]  # kept, not measured
    carried_out(plan, proof, "0-bb")
    third = carried_out(plan, proof, "0-a")
    assert third[1]["trial"] != first[1]["trial"]


def test_an_order_that_nobody_wants_any_more(plan, leftovers):
    """Its engine is stopped in the middle; the trial is interrupted, and not kept."""
    proof = asked(plan)
    looks = []
    sent = carried_out(plan, proof, "0-a", "0-bb", wanted=lambda: looks.append(1) or len(looks) < 3)
    told = [json.loads(m["trial"])["state"] for m in sent if "trial" in m]
    assert told == ["started", "interrupted"]
    assert leftovers() == []
    again = carried_out(plan, proof, "0-a")
    assert [json.loads(m["trial"])["state"] for m in again if "trial" in m][-1] == "finished"


def test_an_order_waits_for_the_host(plan):
    """While another command measures, nothing runs; withdrawn meanwhile, nothing ever does."""
    proof = asked(plan)
    looks = []
    with measuring(wait=False):
        sent = carried_out(plan, proof, "0-a", wanted=lambda: looks.append(1) or len(looks) < 4)
    assert [m for m in sent if "trial" in m] == []
    assert len(looks) == 4
