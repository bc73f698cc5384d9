"""Several comparisons at once."""

from collections.abc import Sequence


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down adjustment: p₍ᵢ₎ ← max_{j<=i} min(1, (m - j + 1)·p₍ⱼ₎).

    None (a comparison that could not be made) stays None and does not count towards m.
    Source: Holm 1979, Scandinavian Journal of Statistics 6, 65-70.
    """
    known = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    running = 0.0
    for position, (p, index) in enumerate(known):
        running = max(running, min(1.0, (len(known) - position) * p))
        adjusted[index] = running
    return adjusted
