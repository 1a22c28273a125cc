"""Numbers as a paper prints them."""

from __future__ import annotations

import math

from ser.scoring.schema import Value

# Metrics in units of their own, not on -1 .. 1.
IN_UNITS = ("MAE",)
NOTHING = "–"


def shown(value: float | None, metric: str = "") -> str:
    """A metric with three decimals and no leading zero; one in units with three significant digits.

    >>> shown(0.9234), shown(-0.05), shown(1.0), shown(None), shown(12.345, "MAE")
    ('.923', '-.050', '1.000', '–', '12.3')
    """
    if value is None:
        return NOTHING
    if metric in IN_UNITS:
        return f"{value:.{_decimals(value)}f}"
    text = f"{value:.3f}"
    text = "0.000" if text == "-0.000" else text
    return text.replace("0.", ".", 1) if abs(float(text)) < 1 else text


def with_interval(value: Value, metric: str = "") -> str:
    """``.923 [.900, .945]``; the value alone when it has no interval."""
    if value.low is None or value.high is None or value.value is None:
        return shown(value.value, metric)
    if metric in IN_UNITS:
        decimals = _decimals(value.value)
        return f"{value.value:.{decimals}f} [{value.low:.{decimals}f}, {value.high:.{decimals}f}]"
    return f"{shown(value.value)} [{shown(value.low)}, {shown(value.high)}]"


def p_text(p: float | None, decimals: int = 3) -> str:
    """``.021``; ``<.001`` for less; ``–`` for none.

    >>> p_text(0.0207), p_text(0.0004), p_text(1.0), p_text(0.0625, 4), p_text(None)
    ('.021', '<.001', '1', '.0625', '–')
    """
    if p is None:
        return NOTHING
    if p < 0.5 * 10**-decimals:
        return f"<.{'0' * (decimals - 1)}1"
    return f"{p:.{decimals}f}".lstrip("0") if p < 1 - 0.5 * 10**-decimals else "1"


def counted(number: int, noun: str) -> str:
    """``1 speaker``, ``1,200 speakers``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def parameters(number: int | None) -> str:
    """A count of parameters with two or three digits and a unit.

    >>> parameters(0), parameters(950), parameters(20_590_592), parameters(None)
    ('0', '950', '20.6 M', '–')
    """
    if number is None:
        return NOTHING
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if number >= limit:
            scaled = number / (1e3 if unit == "k" else limit)
            return f"{scaled:.{1 if scaled < 100 else 0}f} {unit}"
    return f"{number:,}"


def _decimals(value: float) -> int:
    """Decimals that leave three significant digits."""
    return 3 if value == 0 else min(6, max(0, 2 - math.floor(math.log10(abs(value)))))
