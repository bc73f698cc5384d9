"""A family of comparisons decided together: simultaneous intervals and the p values that fit them.

Column j of a table holds one comparison, a row one block: xᵢⱼ is a log-ratio (or a difference).
Comparisons of one run depend on each other: rivals share their baseline, the total holds the
training. With tⱼ = (x̄ⱼ − μⱼ)/(sⱼ/√nⱼ) and Pⱼ = 2·P(t_{nⱼ−1} ≥ |tⱼ|), the family's p of a
comparison is

    p(Pⱼ) = P(min_k P_k ≤ Pⱼ),   never above Bonferroni's m·Pⱼ

where the smallest P is that of normal blocks with the columns' own correlation, drawn anew many
times, so that the sⱼ vary as those of so few blocks do. The intervals are x̄ⱼ ± t_{nⱼ−1}(1−α*/2)·
sⱼ/√nⱼ with the largest α* of which p(α*) is at most the level. So "the interval leaves out 0" and
"p is below the level" are one statement, and all intervals hold together in 95 of 100 runs. With
equally many blocks in every column this is the single-step max-t procedure.

Sources: Hothorn, Bretz and Westfall 2008, Biometrical Journal 50, 346-363 (single-step max-t);
Westfall and Young 1993, Resampling-Based Multiple Testing, 2.3 (min P for unlike columns).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy import special

from harness.stats.describe import LEVEL, Interval
from harness.stats.paired import TIE_PLACES, has_spread

ALPHA = round(1 - LEVEL, 12)
DRAWS = 4_999
SEED = 20_240_102
MOST_ROWS = 20  # drawn for a column: how P values depend on each other hardly hangs on their n
POWER = 0.8
MOST_BLOCKS = 100_000


@dataclass(frozen=True)
class Member:
    """One comparison of a family.

    Attributes:
        n: blocks. mean: x̄, None without a block. sd: of one block; None when n < 2.
        interval: simultaneous with those of the other members; None when n < 2, and without
            spread where so few blocks could agree by chance.
        p: the family's p of "the mean is 0"; None when n < 2.
    """

    n: int
    mean: float | None
    sd: float | None
    interval: Interval | None
    p: float | None

    def turned(self) -> "Member":
        """The same with every sign changed: of B and A instead of A and B."""
        ends = self.interval
        return Member(
            self.n,
            None if self.mean is None else -self.mean,
            self.sd,
            None if ends is None else (-ends[1], -ends[0]),
            self.p,
        )


@dataclass(frozen=True)
class Family:
    """Comparisons decided together.

    Attributes:
        members: one per column, in their order. size: how many could be compared.
        alpha: two-sided level at which each member's own t interval is taken, so that all hold
            together at `level`.
    """

    members: tuple[Member, ...]
    size: int
    level: float
    alpha: float
    smallest: np.ndarray  # sorted: the smallest P of each draw

    def p(self, own: float) -> float:
        """The family's p of a comparison whose own p is this."""
        drawn = int(np.searchsorted(self.smallest, own, side="right"))
        by_draws = (1 + drawn) / (1 + len(self.smallest)) if len(self.smallest) else 1.0
        return min(1.0, self.size * own, by_draws)

    def p_equivalent(self, member: Member, margin: float) -> float | None:
        """The family's p of "the mean is at least `margin` away from 0", by two one-sided tests.

        At most the level exactly where the member's interval lies inside the margin.
        """
        if member.mean is None or member.sd is None:
            return None
        inside = margin - abs(member.mean)
        if inside <= 0:
            return 1.0
        if not member.sd:
            return min(1.0, self.size * chance_of_agreement(member.n))
        t = inside / (member.sd / math.sqrt(member.n))
        return self.p(float(2 * special.stdtr(member.n - 1, -t)))

    def blocks_for(self, sd: float, n: int, effect: float) -> int:
        """Blocks of a run that finds a mean of this size in 8 of 10 runs.

        ((t(1−α*/2) + t(0.8))·s/effect)². The standard deviation is itself of n blocks only: so
        both quantiles are Student's with its degrees of freedom (or those of the blocks to come,
        where these are fewer), and s is the upper end of its one-sided 80 % interval,
        sd·√((n−1)/χ²(0.2)): noise in bursts, of which a few blocks may show none, asks for that.
        Sources: Julious and Owen 2006, Pharmaceutical Statistics 5, 29-37; Browne 1995, Statistics
        in Medicine 14, 1933-1940.
        """
        if sd <= 0:
            return max(2, n)
        if n < 2:
            return MOST_BLOCKS
        needed, upper = 2, sd * math.sqrt((n - 1) / float(special.chdtri(n - 1, POWER)))
        while needed < MOST_BLOCKS:
            degrees = min(n, needed) - 1
            quantiles = float(special.stdtrit(degrees, 1 - self.alpha / 2))
            quantiles += float(special.stdtrit(degrees, POWER))
            wanted = (quantiles * upper / effect) ** 2
            if wanted <= needed:
                return needed
            needed = min(math.ceil(wanted), needed + max(1, needed // 8))
        return MOST_BLOCKS


NOTHING = Member(0, None, None, None, None)
_NONE = np.empty(0)


def family(
    columns: Sequence[np.ndarray] | np.ndarray, *, level: float = ALPHA, draws: int = DRAWS
) -> Family:
    """Decide columns together.

    Args:
        columns: one array per comparison, row i of each being of the same block; NaN where a
            block has no value.
        level: how often, at most, one interval or more may miss the truth.
    """
    table = np.array(columns, dtype=np.float64)
    if table.ndim != 2 or not table.size:
        return Family(tuple(NOTHING for _ in columns), 0, level, level, _NONE)
    table = table.T
    known = ~np.isnan(table)
    counts = known.sum(axis=0)
    size = int((counts > 1).sum())
    varied = np.array(
        [n > 1 and has_spread(table[known[:, j], j]) for j, n in enumerate(counts)], dtype=bool
    )
    smallest = _smallest_p(table[:, varied], draws) if varied.sum() > 1 else _NONE
    place = math.floor(level * (1 + len(smallest)) + 1e-9) - 1
    alpha = level / max(size, 1)
    if len(smallest):
        alpha = max(alpha, float(smallest[place]))
    empty = Family((), size, level, alpha, smallest)
    members = tuple(
        _of_values(empty, table[known[:, j], j], is_varied=bool(varied[j]))
        for j in range(len(counts))
    )
    return replace(empty, members=members)


def family_of_lines(lines: Sequence[tuple[int, float, float]], *, level: float = ALPHA) -> Family:
    """Decide means together of which nothing is known but n, the mean and its standard error.

    Student's t with n − 1 degrees of freedom each, Bonferroni's correction: for lines over
    machines, of which there are too few to tell how the comparisons depend on each other. A line
    of n < 2 decides nothing.
    """
    size = sum(n > 1 for n, _, _ in lines)
    empty = Family((), size, level, level / max(size, 1), _NONE)
    members = []
    for n, mean, error in lines:
        if n < 2:
            members.append(Member(n, mean, None, None, None))
        elif not error:
            members.append(_without_spread(empty, n, mean, is_zero=not round(mean, TIE_PLACES)))
        else:
            members.append(_member(empty, n, mean, error * math.sqrt(n)))
    return replace(empty, members=tuple(members))


def chance_of_agreement(n: int) -> float:
    """Two-sided p of n equal values by flipping signs: only all plus and all minus are as far."""
    return float(2.0 ** (1 - n))


def reach(n: int, size: int, level: float = ALPHA) -> float:
    """The mean, in standard deviations of one block, that n blocks can just show to differ from 0
    among so many comparisons, by Bonferroni's correction."""
    return float(special.stdtrit(n - 1, 1 - level / (2 * size))) / math.sqrt(n)


def _of_values(of: Family, values: np.ndarray, *, is_varied: bool) -> Member:
    n = len(values)
    if n < 2:
        return Member(n, float(values[0]) if n else None, None, None, None)
    mean = float(values.mean())
    if is_varied:
        return _member(of, n, mean, float(values.std(ddof=1)))
    return _without_spread(of, n, mean, is_zero=not np.any(np.round(values, TIE_PLACES)))


def _without_spread(of: Family, n: int, mean: float, *, is_zero: bool) -> Member:
    """Of values that are all the same: what so many would do by chance."""
    p = min(1.0, of.size * chance_of_agreement(n))
    ends = (mean, mean) if p <= of.level else None
    return Member(n, mean, 0.0, ends, 1.0 if is_zero else p)


def _member(of: Family, n: int, mean: float, sd: float) -> Member:
    error = sd / math.sqrt(n)
    half = float(special.stdtrit(n - 1, 1 - of.alpha / 2)) * error
    own = float(2 * special.stdtr(n - 1, -abs(mean) / error))
    return Member(n, mean, sd, (mean - half, mean + half), of.p(own))


def _smallest_p(table: np.ndarray, draws: int) -> np.ndarray:
    """Sorted: the smallest P over the columns, in each of many draws of normal blocks."""
    known = ~np.isnan(table)
    known = known & (np.cumsum(known, axis=0) <= MOST_ROWS)
    counts = known.sum(axis=0)
    known = known[known.any(axis=1)]
    root = _root(_correlation(table)).astype(np.float32)
    total = np.zeros((draws, len(counts)), np.float32)
    squares = np.zeros_like(total)
    for place, row in enumerate(known):
        drawn = _normals(draws, len(counts), place) @ root.T
        if not row.all():  # a block without a value adds nothing to either sum
            drawn *= row
        total += drawn
        squares += np.square(drawn, out=drawn)
    variance = np.maximum(squares - total**2 / counts, 1e-9) / (counts - 1)
    t = np.abs(total) / np.sqrt(counts * variance)
    smallest = np.ones(draws)
    for n in np.unique(counts):  # of equally many blocks the largest t has the smallest P
        largest = t[:, counts == n].max(axis=1)
        np.minimum(smallest, 2 * special.stdtr(n - 1, -largest), out=smallest)
    return np.sort(smallest)


@lru_cache(maxsize=2 * MOST_ROWS)
def _normals(draws: int, columns: int, row: int) -> np.ndarray:
    """The normal numbers of one row: the same for every table, and made once for many of them."""
    generator = np.random.default_rng((SEED, row))
    return generator.standard_normal((draws, columns), np.float32)


def _correlation(table: np.ndarray) -> np.ndarray:
    """Correlation of the columns, each pair over the blocks that both have, taken cautiously.

    So few blocks overstate a correlation as often as not, and one that is overstated makes the
    intervals too narrow: each is taken one standard error, 1/√(n − 3) of Fisher's z, nearer to 0.
    """
    known = ~np.isnan(table)
    together = known.T.astype(float) @ known
    values = np.where(known, table - np.nanmean(table, axis=0), 0.0)
    squares = (values**2).T @ known  # [j, k]: Σ of x²ⱼ over the blocks that k has, too
    scale = np.sqrt(squares * squares.T)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.where(scale > 0, values.T @ values / scale, 0.0)
        z = np.abs(np.arctanh(np.clip(found, -0.9999, 0.9999))) - 1 / np.sqrt(together - 3)
        cautious = np.where(together > 3, np.sign(found) * np.tanh(np.maximum(z, 0.0)), 0.0)
    np.fill_diagonal(cautious, 1.0)
    return cautious


def _root(correlation: np.ndarray) -> np.ndarray:
    """A with A·Aᵀ the nearest correlation without negative eigenvalues: pairs may not fit."""
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    return root / np.linalg.norm(root, axis=1, keepdims=True)
