"""What makes two manifests unlike: one table of fields, and what each must be the same for."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal

from harness.records.manifest import Manifest

Purpose = Literal["continue", "compare", "note", "join"]

# A field, or a part with all fields below it; the longest entry counts. "continue": trials measured
# now may stand beside those of then, in one run or one sweep. "compare": seconds of two runs mean
# the same. "note": a comparison tells of it. What is not here may differ: name, time, commit.
CONTINUE: frozenset[Purpose] = frozenset({"continue"})
BOTH: frozenset[Purpose] = frozenset({"continue", "compare"})
TOLD: frozenset[Purpose] = frozenset({"continue", "note"})
JOIN: frozenset[Purpose] = frozenset({"join"})
FIELDS: Mapping[str, frozenset[Purpose]] = {
    # the machine's name and kernel release do not decide how fast it is
    "host": CONTINUE,
    "host.system": BOTH,
    "host.architecture": BOTH,
    "host.cpu": BOTH,
    "host.physical_cores": BOTH,
    "host.logical_cores": BOTH,
    "host.usable_cores": BOTH,
    "host.max_frequency_mhz": BOTH,
    "host.governor": BOTH,
    "host.turbo": BOTH,
    "host.memory_bytes": BOTH,
    "host.virtual": BOTH,
    "engines": CONTINUE | JOIN,
    "engine_files": TOLD | JOIN,
    # a command's program is the engine itself; an interpreter is of the machine, like its processor
    "engine_programs": CONTINUE | JOIN,
    "engine_interpreters": CONTINUE,
    "engine_commands": CONTINUE,
    "versions": TOLD | JOIN,
    "packages": TOLD | JOIN,
    "data": CONTINUE | JOIN,
    "data.train_images": BOTH | JOIN,
    "data.train_labels": BOTH | JOIN,
    "data.test_images": BOTH | JOIN,
    "data.test_labels": BOTH | JOIN,
    "environment": CONTINUE,
    "workload": BOTH,
    "workload.name": CONTINUE,
    "repeats": CONTINUE,
    "warmups": CONTINUE,
    "schedule_seed": CONTINUE,
    "seeds": CONTINUE,
    "further_seeds": CONTINUE,
    "curves": CONTINUE,
    "rule": CONTINUE,
    "margins": CONTINUE,
    "threads": BOTH,
    "cpus": BOTH,
    "cold": BOTH,
    "sandbox": BOTH,
    "timeout_s": CONTINUE,
    "sample_interval_s": CONTINUE,
}
PARTS = [name for name in FIELDS if "." not in name]
MEMORY_SLACK = 0.02  # a kernel keeps a little more or less for itself at every start
MOST_TOLD = 5
PROGRAMS = ("engine_programs", "engine_interpreters")


def unlike(then: Manifest, now: Manifest, purpose: Purpose) -> dict[str, tuple[Any, Any]]:
    """Fields that must be the same for a purpose and are not, each with both values.

    A field that one manifest does not have is None there. Of an engine that only one of them has,
    `engines` tells, and nothing else.
    """
    a, b = _fields(then), _fields(now)
    return {
        field: (a.get(field), b.get(field))
        for field in sorted(a.keys() | b.keys(), key=_place)
        if purpose in _purposes(field)
        and not _same(field, a.get(field), b.get(field))
        and not (field.startswith("engine_") and (field not in a or field not in b))
    }


def machine(manifest: Manifest) -> str:
    """A short name of the machine, the same for runs whose seconds mean the same.

    Of what a comparison asks of the host; memory in whole gigabytes, as a kernel keeps a little
    more or less for itself at every start.
    """
    facts = {
        name: manifest.host.get(name.partition(".")[2])
        for name, purposes in FIELDS.items()
        if name.startswith("host.") and "compare" in purposes
    }
    memory = facts["host.memory_bytes"]
    facts["host.memory_bytes"] = round(memory / 1e9) if isinstance(memory, int) else None
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:8]


def told(found: Mapping[str, tuple[Any, Any]]) -> list[str]:
    """Each difference in a few words: "threads: 1 → 2"."""
    return [_words(field, *values) for field, values in found.items()]


def in_short(found: Mapping[str, tuple[Any, Any]]) -> str:
    """The first differences in one line, and how many more there are."""
    texts = told(found)
    more = f" and {len(texts) - MOST_TOLD} more" if len(texts) > MOST_TOLD else ""
    return f"{'; '.join(texts[:MOST_TOLD])}{more}"


def _fields(manifest: Manifest) -> dict[str, Any]:
    """Every field of the table, by its dotted name: "workload.training.epochs"."""
    data = {key: value for key, value in manifest.data.items() if key != "sha256"}
    parts = {name: getattr(manifest, name, None) for name in PARTS} | {
        "engines": [entry.name for entry in manifest.engines],
        "engine_files": {entry.name: entry.sha256 for entry in manifest.engines},
        # of a run that began before these were recorded there is nothing to hold them against
        "engine_programs": {
            e.name: e.program_sha256 for e in manifest.engines if e.source == "command"
        },
        "engine_interpreters": {
            e.name: e.program_sha256 for e in manifest.engines if e.source != "command"
        },
        # a file's command says where it was found; its hash says whether it is the same
        "engine_commands": {e.name: e.command for e in manifest.engines if e.source != "file"},
        "data": data | manifest.data.get("sha256", {}),
    }
    fields: dict[str, Any] = {}
    for part, value in parts.items():
        fields |= _leaves(part, value, into_lists=part == "workload")
    return fields


def _leaves(prefix: str, value: Any, *, into_lists: bool) -> dict[str, Any]:
    """The values at the ends of a tree of dictionaries, and of lists where these are gone into."""
    inner: dict[Any, Any] = {}
    if isinstance(value, dict):
        inner = value
    elif into_lists and isinstance(value, list | tuple):
        inner = dict(enumerate(value))
    else:
        return {prefix: value}
    leaves: dict[str, Any] = {}
    for key, part in inner.items():
        leaves |= _leaves(f"{prefix}.{key}", part, into_lists=into_lists)
    return leaves


def _purposes(field: str) -> frozenset[Purpose]:
    while field not in FIELDS:
        field = field.rpartition(".")[0]
    return FIELDS[field]


def _place(field: str) -> tuple[int, str]:
    return PARTS.index(field.partition(".")[0]), field


def _same(field: str, a: Any, b: Any) -> bool:
    if field == "host.memory_bytes" and a and b:
        return abs(a - b) <= MEMORY_SLACK * max(a, b)
    if (field.partition(".")[0] in PROGRAMS or field == "rule") and a is None:
        return True
    return bool(a == b)


def _words(field: str, then: Any, now: Any) -> str:
    part, _, name = field.partition(".")
    if part == "engine_files":
        return f"engine {name}: its source files have changed"
    if part in PROGRAMS:
        return f"engine {name}: its program has changed"
    if part == "engine_commands":
        return f"engine {name}: its command has changed"
    if part == "engines":
        then, now = ", ".join(then), ", ".join(now)
    return f"{field}: {_short(then)} → {_short(now)}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."
