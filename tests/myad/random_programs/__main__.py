"""Many random programs, one after the other: `make programs COUNT=10000 SEED=0`.

Exit code 0 if nothing but what `REFUSALS` lists was refused and no result differs, else 1.
"""

from __future__ import annotations

import argparse
import faulthandler
import re
import sys
import time
from collections import Counter

from tests.myad.random_programs.check import Verdict, check
from tests.myad.random_programs.generate import generate
from tests.myad.random_programs.program import RandomProgram
from tests.myad.random_programs.shrink import shrink

SHOWN = 5  # failures that are made small and printed as programs


def main() -> int:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.myad.random_programs")
    parser.add_argument("--count", type=int, default=1000, help="programs")
    parser.add_argument("--seed", type=int, default=0, help="of the first one")
    parser.add_argument("--brief", action="store_true", help="one line per failure")
    options = parser.parse_args()
    faulthandler.enable()  # names the program if native code crashes
    verdicts = []
    for seed in range(options.seed, options.seed + options.count):
        verdicts.append(check(generate(seed)))
        _tell(verdicts, options.brief)
    print(_summary(verdicts))
    return int(any(v.failed for v in verdicts))


_start = time.perf_counter()


def _tell(verdicts: list[Verdict], brief: bool) -> None:
    """What failed, at once; how far it is, now and then."""
    last = verdicts[-1]
    if last.failed:
        print(last, flush=True)
        if not brief and sum(bool(v.failed) for v in verdicts) <= SHOWN:
            print(_small(last).snippet(), flush=True)
    if len(verdicts) % 100 == 0:
        seconds = time.perf_counter() - _start
        failed = sum(bool(v.failed) for v in verdicts)
        print(f"{len(verdicts)} programs, {failed} different, {seconds:.0f} s", file=sys.stderr)


def _small(verdict: Verdict) -> RandomProgram:
    """The shortest program found that fails in the same way."""
    return shrink(verdict.program, lambda p: _kind(check(p)) == _kind(verdict))


def _kind(verdict: Verdict) -> str:
    """What failed, without numbers: two failures of one kind have one cause, likely."""
    return re.sub(r"[-\d.]+", "#", verdict.failed)[:60]


def _summary(verdicts: list[Verdict]) -> str:
    failed = sum(bool(v.failed) for v in verdicts)
    first, last = verdicts[0].program.seed, verdicts[-1].program.seed
    kinds = Counter(f"{v.program.kind}, derivatives of order {v.program.order}" for v in verdicts)
    refused = Counter(v.refused for v in verdicts if v.refused)
    met = {name for v in verdicts for name in v.primitives}
    lines = [f"{len(verdicts)} programs, seeds {first} to {last}: {failed} differences"]
    lines += [f"  {count:>6}  {kind}" for kind, count in sorted(kinds.items())]
    lines.append(f"  {sum(refused.values()):>6}  refused")
    lines += [f"  {count:>6}    {kind}" for kind, count in refused.most_common()]
    lines.append(f"  {len(met):>6}  primitives met")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
