"""One trial of a fake engine, as a run would do it, with short limits; nothing may be left."""

from dataclasses import replace

import pytest

from harness.plan import new_plan
from harness.process import Limits
from harness.trial import run_trial

QUICK = Limits(timeout_s=20.0, grace_s=0.2, exit_grace_s=0.4)


@pytest.fixture
def trial(home, fakes, leftovers):
    """Run one trial of a behaviour, with other limits if given: trial("hang", timeout_s=1.0)."""

    def run(behaviour, *, command=None, threads=1, **limits):
        chosen = fakes(f"fake={behaviour}", threads=threads)
        if command is not None:
            chosen = replace(chosen, commands=(f"fake={command}",))
        plan = new_plan(chosen)
        bench = plan.bench(home / "results" / "r")
        bench.limits = replace(QUICK, **limits)
        record = run_trial(bench, plan.manifest.schedule[0])
        assert leftovers() == []
        return record

    return run
