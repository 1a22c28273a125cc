"""What all checks said, for the terminal: findings with first offenders, labels by set, what is clean."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from ser.core.columns import align
from ser.core.log import clock
from ser.data.wording import counted
from ser.lint.check import Check
from ser.lint.distribution import ClassTable, Spread, classes_by_part, spreads
from ser.lint.finding import Finding, Level
from ser.lint.run import Result
from ser.lint.subject import Subject

WIDTH = 110
ROWS = 12  # of a table, for the terminal; the page has all
INDENT = " " * 4


def verdict(result: Result) -> str:
    """``1 error, 2 warnings``; notes do not count."""
    errors, warnings = (len(result.of(level)) for level in (Level.ERROR, Level.WARNING))
    return (
        f"{counted(errors, 'error')}, {counted(warnings, 'warning')}"
        if warnings
        else counted(errors, "error")
    )


def title(subject: Subject) -> str:
    """The corpora and releases of the sets."""
    names = dict.fromkeys(f"{item.data.labels.corpus} {item.data.labels.release}" for item in subject.sets)
    return ", ".join(names) or "no set in order"


def text(result: Result) -> str:
    """The whole report, several lines without the last line end."""
    subject = result.subject
    lines = [f"{title(subject)}: {verdict(result)}", "", *set_lines(subject)]
    for level in Level:
        for check, finding in result.of(level):
            lines += ["", *finding_lines(check, finding)]
    table = classes_by_part(subject)
    if table is not None:
        lines += ["", "classes by set (% of the set)", *class_lines(table)]
    values = spreads(subject)
    if values:
        lines += ["", "attributes by set", *spread_lines(values)]
    if subject.skipped:
        lines += ["", *_wrapped("left out, no data directories: ", map(str, subject.skipped))]
    lines += ["", *_wrapped("clean: ", [check.name for check in result.clean])]
    skipped: dict[str, list[str]] = {}
    for outcome in result.outcomes:
        if outcome.not_checked is not None:
            skipped.setdefault(outcome.not_checked, []).append(outcome.check.name)
    for reason, names in skipped.items():
        lines += _wrapped(f"not checked, since {reason}: ", names)
    return "\n".join(lines)


def set_rows(subject: Subject) -> list[list[str]]:
    """Set, role, utterances, speakers, length of every set."""
    rows = []
    for item in subject.sets:
        folds = sum(part.role == "fold" and part.data is item.data for part in subject.parts)
        seconds = subject.seconds(item.data)
        length = clock(sum(seconds.values())) if seconds else "not known"
        role = counted(folds, "fold") if folds else item.role
        rows.append([item.name, role, f"{len(item.data.utt2spk):,}", f"{len(item.data.spk2utt):,}", length])
    return rows


def set_lines(subject: Subject) -> list[str]:
    """The table of sets."""
    if not subject.sets:
        return []
    header = ["set", "role", "utterances", "speakers", "length"]
    return align([header, *set_rows(subject)], right=(2, 3, 4), indent="  ")


def finding_lines(check: Check, finding: Finding) -> list[str]:
    """A finding: level, check, what; then offenders, aligned; then what to do."""
    said = finding.level.value + (" (allowed)" if finding.allowed else "")
    lines = textwrap.wrap(f"{said} {check.name}: {finding.what}", WIDTH, subsequent_indent="  ")
    if finding.offenders:
        lines += align([[offender.where, offender.text] for offender in finding.offenders], indent=INDENT)
    if finding.more:
        lines.append(f"{INDENT}and {finding.more:,} more")
    if finding.hint:
        lines += textwrap.wrap(
            finding.hint.rstrip(".") + ".", WIDTH, initial_indent="  ", subsequent_indent="  "
        )
    return lines


def class_lines(table: ClassTable) -> list[str]:
    """Classes by set, in per cent."""
    rows = [["set", *table.classes, "utterances"]]
    for name, counts in table.rows[:ROWS]:
        total = sum(counts)
        rows.append([name, *(f"{100 * count / max(total, 1):.1f}" for count in counts), f"{total:,}"])
    return [*align(rows, right=range(1, len(rows[0])), indent="  "), *_cut(table.rows)]


def spread_lines(values: Sequence[Spread]) -> list[str]:
    """Attributes by set, in the label's own units."""
    rows = [["attribute", "set", "mean", "sd", "min", "max", "range", "utterances"]]
    for value in values[:ROWS]:
        numbers = (value.mean, value.sd, value.low, value.high)
        limits = f"{value.range_min:g} to {value.range_max:g}"
        rows.append([
            value.attribute, value.part, *(f"{number:.3g}" for number in numbers), limits, f"{value.count:,}",
        ])  # fmt: skip
    return [*align(rows, right=(2, 3, 4, 5, 7), indent="  "), *_cut(values)]


def _cut(rows: Sequence[object]) -> list[str]:
    """How many rows are not shown."""
    return [f"  and {len(rows) - ROWS:,} more, on the page (--html)"] if len(rows) > ROWS else []


def _wrapped(beginning: str, names: Iterable[str]) -> list[str]:
    """Names after a beginning, on as many lines as they need."""
    names = list(names)
    line = beginning + (", ".join(names) or "nothing")
    return textwrap.wrap(line, WIDTH, subsequent_indent="  ", break_on_hyphens=False)
