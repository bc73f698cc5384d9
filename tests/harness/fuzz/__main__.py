"""Fuzz all targets in turns: python -m tests.harness.fuzz --minutes 60 --seed 0."""

import argparse
import sys
import time
import warnings

from tests.harness.fuzz.search import search
from tests.harness.fuzz.targets import TARGETS

EXAMPLES = 50  # of one target before the next one's turn


def main() -> int:
    """Exit code 0 without a find, 1 with one, which hypothesis prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=TARGETS, help="one target")
    chosen = parser.parse_args()
    warnings.simplefilter("error")
    names = [chosen.only] if chosen.only else list(TARGETS)
    deadline = time.monotonic() + 60 * chosen.minutes
    rounds = 0
    while time.monotonic() < deadline:
        for name in names:
            search(TARGETS[name], seed=chosen.seed + rounds, examples=EXAMPLES)
        rounds += 1
    print(f"{rounds} rounds of {EXAMPLES} examples of {len(names)} targets, seed {chosen.seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
