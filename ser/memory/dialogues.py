"""Dialogues of a data directory, in order: who says what after what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from ser.core.errors import UserError
from ser.core.seed import derive_seed
from ser.data.datadir import DataDir
from ser.data.splits import draw, held_out_speakers
from ser.data.table import line_of
from ser.data.wording import counted
from ser.downstream.protocol import Fold

DIALOGUE, TURN = "utt2dialogue", "utt2turn"


@dataclass(frozen=True)
class Dialogue:
    """Utterances in the order in which they were said.

    Args:
        name: of the dialogue.
        utterances: ids, the first first.
        speakers: who says each.
    """

    name: str
    utterances: tuple[str, ...]
    speakers: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.utterances)

    @property
    def cast(self) -> list[str]:
        """The speakers in the order in which they first speak."""
        return list(dict.fromkeys(self.speakers))

    def slots(self, scope: str) -> list[int]:
        """The state's slot of each utterance: 0, or the speaker's place in ``cast`` for scope ``speaker``."""
        cast = self.cast
        return [cast.index(speaker) if scope == "speaker" else 0 for speaker in self.speakers]


def load_dialogues(data: DataDir) -> list[Dialogue]:
    """The dialogues of a data directory, in C order of their names; turns by number, whatever their ids.

    Numbers may have gaps: utterances that are not in the directory are not heard.

    Raises:
        UserError: without utt2dialogue and utt2turn, or for an utterance that is in only one of them, a turn
            that is no whole number, or two utterances of one turn; with file and line.
    """
    hint = "Conversations want utt2dialogue and utt2turn; 'ser memory-train' cannot do without"
    for name in (DIALOGUE, TURN):
        if name not in data.tables:
            raise UserError("no such table", file=data.path / name, hint=hint)
    dialogue_of, turns = data.tables[DIALOGUE], data.tables[TURN]
    for name, table in ((DIALOGUE, dialogue_of), (TURN, turns)):
        if missing := [utterance for utterance in data.utterances if utterance not in table]:
            what = f"{counted(len(missing), 'utterance')} of the data directory not in it, the first"
            raise UserError(what, file=data.path / name, value=missing[0], hint=hint)
    found: dict[str, dict[int, str]] = {}
    for utterance in data.utterances:
        turn = turns[utterance]
        if not turn.isdecimal():
            raise UserError(
                f"turn of {utterance!r} is not a whole number", file=data.path / TURN,
                line=line_of(turns, utterance), value=turn, hint="Count turns from 1",
            )  # fmt: skip
        said = found.setdefault(dialogue_of[utterance], {})
        if int(turn) in said:
            raise UserError(
                f"two utterances are turn {int(turn)} of dialogue {dialogue_of[utterance]}:"
                f" {said[int(turn)]} and another",
                file=data.path / TURN, line=line_of(turns, utterance), value=utterance,
                hint="Give every utterance of a dialogue a turn of its own",
            )  # fmt: skip
        said[int(turn)] = utterance
    dialogues = []
    for name in sorted(found):
        utterances = tuple(found[name][turn] for turn in sorted(found[name]))
        _check_times(data, name, utterances)
        dialogues.append(Dialogue(name, utterances, tuple(data.utt2spk[u] for u in utterances)))
    return dialogues


def _check_times(data: DataDir, name: str, utterances: Sequence[str]) -> None:
    """Refuse turns whose order is against their places in one recording.

    Raises:
        UserError: naming the first pair.
    """
    if data.segments is None:
        return
    latest: dict[str, str] = {}  # recording -> its utterance of the last turn: each side may have its own
    for after in utterances:
        other = data.segments[after]
        before = latest.get(other.recording, after)
        one = data.segments[before]
        if other.start < one.start:
            raise UserError(
                f"turns of dialogue {name} are out of order: {after}, after {before}, begins before it",
                file=data.path / TURN, line=line_of(data.tables[TURN], after),
                value=f"{other.start:g} s after {one.start:g} s", hint="Number turns by their times",
            )  # fmt: skip
        latest[other.recording] = after


def of_part(dialogues: Iterable[Dialogue], utterances: Sequence[str]) -> list[Dialogue]:
    """The dialogues that some utterances make up.

    Raises:
        UserError: for a dialogue of which only a part is among them: its memory would leak, or lack.
    """
    wanted, found = set(utterances), []
    for dialogue in dialogues:
        inside = [utterance in wanted for utterance in dialogue.utterances]
        if all(inside):
            found.append(dialogue)
        elif any(inside):
            raise UserError(
                f"dialogue {dialogue.name} is divided: {sum(inside)} of {len(inside)} utterances are here",
                value=dialogue.utterances[inside.index(False)], hint="Make folds and sets of whole dialogues",
            )  # fmt: skip
    return found


def hold_out(dialogues: Sequence[Dialogue], share: float, seed: int) -> tuple[list[Dialogue], list[Dialogue]]:
    """(learn from, validate on): whole dialogues, and no speaker on both sides where that can be had.

    Speakers who meet in a dialogue belong together. Where all do (six friends in every scene), dialogues are
    held out and their speakers are trained on too.

    Args:
        dialogues: of the training part.
        share: of the utterances.
        seed: of the choice.

    Raises:
        UserError: with fewer than two dialogues.
    """
    if len(dialogues) < 2:
        raise UserError("validation wants two training dialogues at least", value=len(dialogues),
                        hint="Give a validation set")  # fmt: skip
    group = groups_of_speakers(dialogues)
    if len(set(group.values())) > 1:
        of = {u: group[dialogue.speakers[0]] for dialogue in dialogues for u in dialogue.utterances}
    else:
        of = {u: dialogue.name for dialogue in dialogues for u in dialogue.utterances}
    held = held_out_speakers(of, share, seed)
    return (
        [dialogue for dialogue in dialogues if of[dialogue.utterances[0]] not in held],
        [dialogue for dialogue in dialogues if of[dialogue.utterances[0]] in held],
    )


def groups_of_speakers(dialogues: Iterable[Dialogue]) -> dict[str, str]:
    """Speaker -> the first name of the group of those whom shared dialogues connect."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    for dialogue in dialogues:
        first = root(dialogue.speakers[0])
        for speaker in dialogue.cast[1:]:
            one, other = sorted((first, root(speaker)))
            parent[other], first = one, one
    return {name: root(name) for name in parent}


def in_batches(dialogues: Sequence[Dialogue], size: int) -> Iterator[list[Dialogue]]:
    """Dialogues of like length together, the longest of a batch first, as ``converse`` wants them."""
    order = sorted(dialogues, key=lambda dialogue: (-len(dialogue), dialogue.name))
    for begin in range(0, len(order), size):
        yield order[begin : begin + size]


def in_random_batches(
    dialogues: Sequence[Dialogue], size: int, seed: int, epoch: int
) -> list[list[Dialogue]]:
    """The batches of an epoch, which follow from (seed, epoch); in each the longest dialogue first."""
    order = sorted(dialogues, key=lambda dialogue: draw(derive_seed(seed, "order", epoch), dialogue.name))
    batches = [order[begin : begin + size] for begin in range(0, len(order), size)]
    return [sorted(batch, key=lambda dialogue: -len(dialogue)) for batch in batches]


def check_folds(dialogues: Sequence[Dialogue], folds: Iterable[Fold]) -> None:
    """Refuse folds that divide a dialogue.

    Raises:
        UserError: naming the dialogue.
    """
    for fold in folds:
        for part in fold.tests.values():
            if part.source == fold.train.source:
                of_part(dialogues, part.utterances)
