"""Pseudo-dialogues: a speaker's single utterances strung together, where a corpus has no conversations.

Nobody answers anybody in them, and nothing leads from one emotion to the next: what a memory can find is the
speaker's own range. Results on them are called pseudo.
"""

from __future__ import annotations

from dataclasses import replace

from ser.core.errors import UserError
from ser.data.datadir import DataDir
from ser.data.splits import draw

TABLES = ("utt2dialogue", "utt2turn")


def pseudo_dialogues(data: DataDir, turns: int, seed: int = 0) -> DataDir:
    """The data directory with utt2dialogue and utt2turn, a speaker's utterances in an order drawn by seed.

    A speaker's dialogues are as equal in length as can be, none longer than ``turns``; their names begin
    with ``pseudo``. Order and cuts know nothing of labels.

    Args:
        data: without dialogues of its own.
        turns: the most utterances of a dialogue.
        seed: of the order.

    Raises:
        UserError: when it has dialogues, or ``turns`` is below 1.
    """
    if turns < 1:
        raise UserError("a dialogue has one turn at least", value=turns)
    if there := [name for name in TABLES if name in data.tables]:
        raise UserError("it has dialogues of its own", file=data.path / there[0],
                        hint="Pseudo-dialogues are for corpora without")  # fmt: skip
    dialogue_of, turn_of = {}, {}
    for speaker, utterances in data.spk2utt.items():
        order = sorted(utterances, key=lambda utterance: draw(seed, f"pseudo {utterance}"))
        count = -(-len(order) // turns)
        for number in range(count):
            part = order[number * len(order) // count : (number + 1) * len(order) // count]
            for turn, utterance in enumerate(part, 1):
                dialogue_of[utterance] = f"pseudo_{speaker}_{number + 1:03d}"
                turn_of[utterance] = str(turn)
    added = {
        name: dict(sorted(table.items())) for name, table in zip(TABLES, (dialogue_of, turn_of), strict=True)
    }
    return replace(data, tables=data.tables | added)
