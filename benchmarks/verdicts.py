"""How often does a run say a wrong word, and does it find what is there? By simulation.

    python benchmarks/verdicts.py [--runs 2000] [--blocks 10] [--models normal,drift] [--json FILE]

Whole synthetic runs of five engines (`harness/run/simulate.py`) go through schedule, records and
decision. Per noise model, with the upper end of a 95 % interval (Clopper and Pearson) in brackets:

- *A/A*: all engines equal; share of runs that call one faster, slower or different in accuracy.
- *5 % found*: one engine 5 % slower; a first run says how many blocks it needs to find 5 %, and
  a run of so many blocks finds it, with the median of the blocks asked for.
- *A/A until*: as A/A, of runs that add blocks until every ratio is known to ±3 %, with the median
  of their blocks.

The false alarms of `bench gate` are simulated in tests/harness/report/test_compare_and_gate.py.
"""

import argparse
import json
import statistics
from pathlib import Path

import numpy as np
from scipy import stats

from harness.analysis.decision import Decision, decide_run
from harness.records.manifest import Rule
from harness.run.simulate import NOISES, World, blocks_until, manifest, run_of

PLANTED = 0.05
UNTIL = 0.03
MOST = 60
WRONG = ("faster", "slower", "different")


def wrong_words(decision: Decision) -> bool:
    """Whether any comparison of equal engines has a word that says they are not."""
    return any(cell.word in WRONG for cell in decision.cells.values())


def alike(name: str, runs: int, blocks: int) -> dict[str, float]:
    """Share of A/A runs with a wrong word."""
    world, rng = World(noise=NOISES[name]), np.random.default_rng(1)
    wrong = sum(
        wrong_words(decide_run(run_of(world, manifest(world, blocks, seed), rng)))
        for seed in range(runs)
    )
    return share(wrong, runs)


def planted(name: str, runs: int, blocks: int) -> dict[str, float]:
    """Share of runs, of the length that a first run asked for, that find one slower engine."""
    world = World(noise=NOISES[name], factors={"a": 1 + PLANTED})
    rng, found, asked = np.random.default_rng(2), 0, []
    for seed in range(runs):
        pilot = decide_run(run_of(world, manifest(world, blocks, seed), rng))
        needed = min(pilot.cells["a", "train_wall_s"].needed or blocks, 400)
        run = run_of(world, manifest(world, needed, runs + seed), rng)
        found += decide_run(run).cells["a", "train_wall_s"].word == "slower"
        asked.append(needed)
    return {**share(found, runs), "blocks": statistics.median(asked)}


def until(name: str, runs: int, blocks: int) -> dict[str, float]:
    """Share of A/A runs with a wrong word where widths decide how many blocks there are."""
    world, rng, wrong, used = World(noise=NOISES[name]), np.random.default_rng(3), 0, []
    rule = Rule(
        baseline=world.engines[-1], first_blocks=blocks, step_blocks=blocks, until_share=UNTIL
    )
    for seed in range(runs):
        run = run_of(world, manifest(world, MOST, seed, rule), rng)
        used.append(blocks_until(run))
        wrong += wrong_words(decide_run(run, blocks=used[-1]))
    return {**share(wrong, runs), "blocks": statistics.median(used)}


def share(count: int, of: int) -> dict[str, float]:
    """A share in per cent and the upper end of its exact interval."""
    high = stats.binomtest(count, of).proportion_ci(method="exact").high
    return {"percent": 100 * count / of, "high": 100 * float(high)}


QUESTIONS = {"A/A": alike, "5 % found": planted, "A/A until": until}


def main() -> None:
    """Print the table, a line per noise model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--blocks", type=int, default=10)
    parser.add_argument("--models", default=",".join(NOISES))
    parser.add_argument("--questions", default=",".join(QUESTIONS))
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    questions = [name.strip() for name in asked.questions.split(",")]
    print(f"{asked.runs} runs each, 5 engines, {asked.blocks} blocks (first blocks)")
    print("noise".ljust(14) + "".join(name.rjust(26) for name in questions), flush=True)
    table = {}
    for name in asked.models.split(","):
        row = {q: QUESTIONS[q](name, asked.runs, asked.blocks) for q in questions}
        print(name.ljust(14) + "".join(cell(found).rjust(26) for found in row.values()), flush=True)
        table[name] = row
    if asked.json:
        asked.json.write_text(json.dumps(table, indent=1) + "\n")


def cell(found: dict[str, float]) -> str:
    """ "3.4 % (4.3), 24 blocks"."""
    blocks = f", {found['blocks']:.0f} blocks" if "blocks" in found else ""
    return f"{found['percent']:.1f} % ({found['high']:.1f}){blocks}"


if __name__ == "__main__":
    main()
