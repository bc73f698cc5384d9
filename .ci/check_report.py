"""Assert that `bench report --format json` holds every number, finite, for the engines named.

usage: check_report.py REPORT.json ENGINE ENGINE ...
"""

import json
import math
import sys
from pathlib import Path

from harness.analysis.metrics import METRICS

OF_EPOCHS = ("compile_s", "epoch_s")  # told apart by the later epochs, where there are some
NUMBERS = ("mean", "median", "sd", "min", "max")


def main(path: str, engines: list[str]) -> None:
    """Exit with a sentence at the first number that is missing or not finite."""
    report = json.loads(Path(path).read_text(encoding="utf-8"))
    blocks = report["blocks"]
    if blocks["planned"] != 2 or blocks["valid"] != 2:
        sys.exit(f"{path}: blocks {blocks}, expected 2 planned and 2 valid.")
    for engine in engines:
        found = report["engines"][engine]
        if found["failed"] != 0:
            sys.exit(f"{path}: {engine}: {found['failed']} trials failed.")
        for metric in METRICS:
            if metric.key in OF_EPOCHS and not any(
                report["engines"][name][metric.key]["n"] for name in engines
            ):
                continue
            check(f"{path}: {engine}: {metric.key}", found[metric.key])
    first, second = engines[:2]
    ratios = report["ratios"].get(f"{first}/{second}") or report["ratios"][f"{second}/{first}"]
    if not ratios:
        sys.exit(f"{path}: no ratio of {first} and {second}.")
    print(f"{path}: all numbers of {', '.join(engines)} are there and finite.")


def check(place: str, summary: dict) -> None:
    """A summary of two values with every figure finite."""
    if summary["n"] != 2 or len(summary["values"]) != 2:
        sys.exit(f"{place}: {summary['n']} values, expected 2.")
    for name in NUMBERS:
        if not math.isfinite(summary[name]):
            sys.exit(f"{place}: {name} is {summary[name]}.")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
