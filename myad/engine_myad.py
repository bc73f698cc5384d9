"""myad: the workload's CNN."""

from __future__ import annotations

from harness.contract import run_engine
from myad.engine_myad_eager import test, train

if __name__ == "__main__":
    run_engine(train=train, test=test)
