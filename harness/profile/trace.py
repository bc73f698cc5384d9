"""A profile as a trace that ui.perfetto.dev and chrome://tracing open: one track per engine.

Source: "Trace Event Format", the JSON form, complete events ("X"), times in microseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.profile.model import EngineProfile, Profile
from harness.safe.text import one_line

PROCESS = 1


def trace(profile: Profile) -> dict[str, Any]:
    """The slices of all engines; each track begins where its engine's profiled epoch does."""
    events = [_named("process_name", 0, f"bench profile: {profile.preset}")]
    for track, engine in enumerate(profile.measured, start=1):
        events.append(_named("thread_name", track, engine.engine))
        events.append({**_named("thread_sort_index", track, ""), "args": {"sort_index": track}})
        events += _slices(engine, track)
    return {"traceEvents": events, "displayTimeUnit": "ns"}


def _slices(engine: EngineProfile, track: int) -> Iterator[dict[str, Any]]:
    found = [(start, length, op) for op in engine.operations for start, length in op.slices]
    for start, length, op in sorted(found, key=lambda slice: slice[:2]):
        yield {
            "name": one_line(op.name),
            "cat": op.kind,
            "ph": "X",
            "ts": 1e6 * start,
            "dur": 1e6 * length,
            "pid": PROCESS,
            "tid": track,
            "args": {"class": op.kind, "pass": op.part, "layer": op.layer},
        }


def _named(what: str, track: int, name: str) -> dict[str, Any]:
    return {"name": what, "ph": "M", "pid": PROCESS, "tid": track, "args": {"name": name}}
