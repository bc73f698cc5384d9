"""One trial of a fake engine, as a run would do it, with short limits; nothing may be left."""

import contextlib
from dataclasses import replace

import pytest

from harness.machine.cgroup import V2
from harness.process import supervise
from harness.process.supervise import Limits
from harness.run.plan import new_plan
from harness.trial.trial import run_trial

QUICK = Limits(timeout_s=20.0, grace_s=0.2, exit_grace_s=0.4)


@pytest.fixture
def trial(home, fakes, leftovers):
    """Run one trial of a behaviour, with other limits if given: trial("hang", timeout_s=1.0)."""

    def run(behaviour, *, command=None, threads=1, settings=(), **limits):
        chosen = fakes(f"fake={behaviour}", threads=threads, settings=settings)
        if command is not None:
            chosen = replace(chosen, commands=(f"fake={command}",))
        plan = new_plan(chosen)
        bench = plan.bench(home / "results" / "r")
        bench.limits = replace(QUICK, **limits)
        record = run_trial(bench, plan.manifest.schedule[0])
        assert leftovers() == []
        return record

    return run


@pytest.fixture
def no_memory_group(monkeypatch):
    """As on a system where none can be made."""
    monkeypatch.setattr(supervise, "fresh_group", contextlib.nullcontext)


@pytest.fixture
def limited_group(memory_group):
    """The folder of a group to join, in which harness and engine share 600 MB without swap."""
    group, limit = memory_group.path, str(600 << 20)
    if memory_group.version is not V2:
        (group / "memory.limit_in_bytes").write_text(limit)
        with contextlib.suppress(FileNotFoundError):  # of memory and swap together
            (group / "memory.memsw.limit_in_bytes").write_text(limit)
        yield group
        return
    (group / "memory.max").write_text(limit)
    with contextlib.suppress(FileNotFoundError):
        (group / "memory.swap.max").write_text("0")
    # a group that hands out memory may not have processes of its own
    (group / "cgroup.subtree_control").write_text("+memory")
    inner = group / "harness"
    inner.mkdir()
    yield inner
    inner.rmdir()
