"""All checks by name, in the order in which they are run and listed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from ser.core.columns import align
from ser.core.errors import UserError
from ser.lint import audio, labels, overlap, speakers, tables

CHECKS = {
    check.name: check
    for family in (tables, overlap, speakers, labels, audio)
    for check in family.CHECKS
}  # fmt: skip


def refuse_unknown(names: Iterable[str]) -> None:
    """Raise for a name that is no check's.

    Raises:
        UserError: with the nearest name.
    """
    for name in names:
        if name not in CHECKS:
            near = difflib.get_close_matches(name, CHECKS, n=1)
            hint = f"Did you mean '{near[0]}'?" if near else "'ser lint --list' prints their names"
            raise UserError("no such check", value=name, hint=hint)


def overview() -> str:
    """All checks, one a line."""
    return "\n".join(align([[check.name, check.level.value, check.what] for check in CHECKS.values()]))
