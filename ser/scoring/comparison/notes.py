"""What a reader must know to read a comparison, a sentence each."""

from __future__ import annotations

from collections.abc import Sequence

from ser.scoring.comparison.compare import Comparison, Row
from ser.scoring.comparison.folds import EXACT_FOLDS, RANDOM_FLIPS
from ser.scoring.comparison.multiple import enough_draws
from ser.scoring.comparison.paired import least_p
from ser.scoring.comparison.positions import ALONE
from ser.scoring.intervals import FEW_CLUSTERS
from ser.scoring.schema import few
from ser.scoring.text import counted, p_text


def facts(found: Comparison) -> list[str]:
    """Which utterances, how many clusters, how intervals, p and ranks were made."""
    data, how = found.data, found.how
    chosen = f", where {' and '.join(found.where)}" if found.where else ""
    notes = [f"Corpus {data.labels.corpus}, release {data.labels.release}, set '{found.set}'{chosen}."]
    for task in {part.task.name: part.task for part in found.parts}.values():
        unlabelled = f"; {task.unlabelled:,} without the label, not scored" if task.unlabelled else ""
        notes.append(
            f"{task.title}: the same {counted(len(task.rows), 'utterance')} for all systems, of"
            f" {counted(task.clusters, how.unit)}{unlabelled}."
        )
    least = least_p(how)
    notes.append(
        f"Intervals ({100 * how.level:g} %, percentile) and p (two-sided): bootstrap over {how.unit}s, the"
        f" same {how.draws:,} draws for all systems, seed {how.seed}; p is not below"
        f" {p_text(least, 3 if least >= 0.001 else 5)}."
    )
    if few(min(part.task.clusters for part in found.parts)):
        notes.append(
            f"Fewer than {FEW_CLUSTERS} {how.unit}s: intervals and p are rough, and rather too small."
        )
    notes += _about_seeds(found)
    notes.append(
        f"Holm's correction is over {counted(found.tests, 'difference')} to the reference: all in this file."
    )
    if found.tests * least > 1 - how.level:
        notes.append(
            f"With {how.draws:,} draws, no p of {found.tests} tests can be below {1 - how.level:.2g} after"
            " Holm: take more with --draws."
        )
    if how.draws < enough_draws(len(found.parts[0].rows), how.level):
        notes.append(
            f"{how.draws:,} draws are few for tests of all pairs: ranks are wider than they need be."
        )
    notes.append(
        "Rank: from 1 + the number of systems that are significantly better to the number of systems less"
        f" those significantly worse, by tests of all pairs at {1 - how.level:.2g} after Holm over the pairs."
        " Systems that share a rank are not told apart."
    )
    return notes


def _about_seeds(found: Comparison) -> list[str]:
    """Whether another training is in the intervals."""
    rows = found.parts[0].rows
    several = [row for row in rows if len(row.seeds) > 1]
    notes = []
    if several:
        each = ", ".join(f"{row.system} {len(row.seeds)}" for row in several)
        notes.append(
            f"Seeds: values are means over seeds ({each}); seeds are drawn too, crossed with"
            f" {found.how.unit}s."
        )
    if len(several) < len(rows):
        who = "" if not several else ": " + ", ".join(row.system for row in rows if len(row.seeds) == 1)
        notes.append(f"One seed{who}: what another training would change is not in the interval.")
    return notes


def fold_notes(rows: Sequence[Row]) -> list[str]:
    """How to read the tests over folds, and their floor."""
    test = rows[0].folds
    assert test is not None  # only such rows are given
    kind = "exact" if test.folds <= EXACT_FOLDS else f"{RANDOM_FLIPS:,} random"
    return [
        f"Paired t and {kind} sign flips over {test.folds} folds (mean over seeds in each). Folds share"
        " training data: both tests reject too often.",
        f"The sign-flip test over {test.folds} folds cannot go below {p_text(test.floor, 4)}.",
    ]


def position_note(found: Comparison) -> str:
    """How positions are counted."""
    note = (
        "Positions count the data directory's utterances of a dialogue in the order of utt2turn, labelled or"
        " not: all of them, and the speaker's own alone."
        f" Above {ALONE} they are taken together: {ALONE + 1}-{2 * ALONE}, {2 * ALONE + 1}-{4 * ALONE} and so"
        " on, named by the first. Intervals by position are not corrected for their number."
    )
    if found.unplaced:
        note += f" {counted(found.unplaced, 'utterance')} without a dialogue or a turn: in no position."
    return note
