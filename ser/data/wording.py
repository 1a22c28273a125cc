"""Wording of messages about many things: how many, and the first few of them."""

from __future__ import annotations

from collections.abc import Sequence

SHOWN = 3


def first_few(names: Sequence[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def counted(number: int, noun: str) -> str:
    """``1 line``, ``2 lines``, ``1 entry``, ``2,000 entries``, ``3 classes``."""
    if number == 1:
        return f"1 {noun}"
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{number:,} {plural}"
