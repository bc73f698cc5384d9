"""What makes two manifests unlike: to go on with a run, and to compare two."""

import pytest

from harness.records.manifest import EngineEntry, Manifest
from harness.records.sameness import FIELDS, in_short, told, unlike
from harness.workload.format import load

SMOKE = load("smoke").document()
OTHER = load("smoke", ["model.layers.0.kernel_size=[3,5]"]).document()


def manifest(**changes):
    base = {
        "run": "r",
        "preset": "p",
        "created": "2026-01-01T00:00:00+00:00",
        "command_line": [],
        "workload": SMOKE,
        "engines": [EngineEntry(name="a", command=["python"], source="file", sha256="1")],
        "repeats": 1,
        "seeds": [0],
        "schedule": [],
        "host": {"cpu": "x"},
        "versions": {"python": "3.11"},
        "packages": {"numpy": "2"},
        "data": {"sha256": {"a": "1"}},
    }
    return Manifest(**{**base, **changes})


CHANGES = {
    "nothing": ({}, []),
    "created": ({"created": "2027-01-01T00:00:00+00:00"}, []),
    "workload": (
        {"workload": OTHER},
        ["workload.model.layers.0.kernel_size.1: 3 → 5"],
    ),
    "array": ({"data": {"sha256": {"a": "2"}}}, ["data.a: 1 → 2"]),
    "repeats": ({"repeats": 2}, ["repeats: 1 → 2"]),
    "threads": ({"threads": 2}, ["threads: 1 → 2"]),
    "long": ({"host": {"cpu": "x" * 99}}, [f"host.cpu: x → {'x' * 57}..."]),
    "cpu": ({"host": {"cpu": "y"}}, ["host.cpu: x → y"]),
    "package-gone": ({"packages": {}}, ["packages.numpy: 2 → None"]),
    "package-new": ({"packages": {"numpy": "2", "z": "1"}}, ["packages.z: None → 1"]),
    "variable": ({"environment": {"OMP_X": "1"}}, ["environment.OMP_X: None → 1"]),
    "engine": (
        {"engines": [EngineEntry(name="a", command=["python"], source="file", sha256="2")]},
        ["engine a: its source files have changed"],
    ),
    "engines": (
        {"engines": [EngineEntry(name="b", command=["python"], source="file", sha256="2")]},
        ["engines: a → b"],
    ),
    "found-elsewhere": (  # the hash of its file says that it is the same
        {"engines": [EngineEntry(name="a", command=["python", "-O"], source="file", sha256="1")]},
        [],
    ),
}


@pytest.mark.parametrize(("change", "expected"), CHANGES.values(), ids=CHANGES)
def test_what_keeps_trials_out_of_one_run_is_named(change, expected):
    assert told(unlike(manifest(), manifest(**change), "continue")) == expected


def test_another_command_of_an_engine_without_a_file_of_its_own_is_named():
    then, now = (
        manifest(engines=[EngineEntry(name="a", command=["x", option], source="command")])
        for option in ("--slow", "--fast")
    )
    assert told(unlike(then, now, "continue")) == ["engine a: its command has changed"]
    assert unlike(then, now, "compare") == unlike(then, now, "note") == {}


@pytest.mark.parametrize(
    ("host", "is_same"),
    [
        ({"memory_bytes": 1_015_000_000}, True),
        ({"memory_bytes": 1_030_000_000}, False),
        ({"memory_bytes": None}, False),
    ],
)
@pytest.mark.parametrize("purpose", ["continue", "compare"])
def test_a_little_more_memory_is_the_same_machine(host, is_same, purpose):
    then = manifest(host={"memory_bytes": 1_000_000_000})
    found = unlike(then, manifest(host=host), purpose)
    assert found == ({} if is_same else {"host.memory_bytes": (10**9, host["memory_bytes"])})


def test_a_comparison_asks_for_less_than_going_on():
    """Other packages, repeats and names change what a run is, not what a second is."""
    changed = manifest(
        host={"cpu": "x", "release": "7"}, packages={}, repeats=3, workload={**SMOKE, "name": "q"}
    )
    assert unlike(manifest(), changed, "compare") == {}
    assert list(unlike(manifest(), changed, "continue")) == [
        "host.release",
        "packages.numpy",
        "workload.name",
        "repeats",
    ]
    assert unlike(manifest(), changed, "note") == {"packages.numpy": ("2", None)}
    assert list(unlike(manifest(), manifest(host={"cpu": "y"}), "compare")) == ["host.cpu"]


def test_the_first_five_are_told_and_the_others_counted():
    many = manifest(packages={"numpy": "2", **{f"p{k}": "1" for k in range(7)}})
    assert in_short(unlike(manifest(), many, "continue")) == (
        "packages.p0: None → 1; packages.p1: None → 1; packages.p2: None → 1; "
        "packages.p3: None → 1; packages.p4: None → 1 and 2 more"
    )


def test_every_field_of_a_manifest_is_in_the_table_or_may_differ():
    """A new field of the manifest has to be given a place."""
    may_differ = {
        "schema_version", "run", "preset", "created", "command_line", "schedule", "max_time_s",
        "git", "verification", "origin", "cluster",
    }  # fmt: skip
    # parts of `engines`
    made = {"engine_files", "engine_programs", "engine_interpreters", "engine_commands"}
    assert {name.partition(".")[0] for name in FIELDS} - made | may_differ == set(
        Manifest.model_fields
    )
    assert not may_differ & set(FIELDS)
