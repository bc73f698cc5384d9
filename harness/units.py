"""Numbers for people: three significant digits, with unit. Stored values are never rounded."""

import math

BYTE_PREFIXES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
TIME_PREFIXES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
ABSENT = "–"


def significant(value: float, digits: int = 3) -> str:
    """`value` to that many significant digits, without an exponent: 0.0123, 1.23, 412, 5,120."""
    if not math.isfinite(value):
        return ABSENT
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:,.{decimals}f}"


def seconds(value: float | None) -> str:
    """Seconds, milliseconds below 0.1 s, microseconds below 0.1 ms."""
    if value is None:
        return ABSENT
    for size, unit in TIME_PREFIXES:
        if abs(value) >= 0.1 * size:
            return f"{significant(value / size)} {unit}"
    return f"{significant(value * 1e6)} µs" if value else "0 s"


def size(value: float | None) -> str:
    """Bytes in powers of 1000."""
    if value is None:
        return ABSENT
    for step, unit in BYTE_PREFIXES:
        if abs(value) >= step:
            return f"{significant(value / step)} {unit}"
    return f"{value:.0f} B"


def percent(value: float | None) -> str:
    """A fraction in [0, 1] as per cent, two decimals."""
    return ABSENT if value is None else f"{100 * value:.2f} %"


def points(value: float | None) -> str:
    """A difference of percentages, signed."""
    return ABSENT if value is None else f"{signed(value)} points"


def signed(value: float) -> str:
    """Two decimals with a sign; a zero has none."""
    return f"{value:+.2f}" if round(value, 2) else "0.00"


def ratio(value: float | None) -> str:
    """A ratio without unit."""
    return ABSENT if value is None else significant(value)


def span(interval: tuple[float, float] | None, form=significant) -> str:
    """An interval as "a to b"."""
    return ABSENT if interval is None else f"{form(interval[0])} to {form(interval[1])}"


def probability(value: float | None) -> str:
    """A p value; very small ones as a bound."""
    if value is None:
        return ABSENT
    return "< 0.0001" if value < 0.0001 else significant(value, 2)


def counted(number: int, noun: str) -> str:
    """ "1 block", "10 blocks"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
