"""What features alone tell of speakers: the mean, or the maximum, over each speaker's utterance vectors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ser.core.errors import UserError
from ser.data.speakers import is_known
from ser.data.wording import counted, first_few

NOBODY = -1


@dataclass(frozen=True)
class Voices:
    """Statistics of P speakers, and who speaks in each of N utterances.

    A speaker's row depends on that speaker's utterances alone, in any order, and on no label. Speakers that
    nobody knows (``unknown...``) have no row: their mean would be that of strangers.

    Attributes:
        speakers: P ids, in C order.
        statistics: standardised statistics ``(P, S, L, D)``.
        row_of: ``(N,)`` into the rows, ``NOBODY`` where the speaker is not known.
    """

    speakers: list[str]
    statistics: Tensor
    row_of: Tensor

    @classmethod
    def of(cls, batches: Iterable[Tensor], speakers: Sequence[str], reduce: Literal["mean", "max"]) -> Voices:
        """From standardised features, batch by batch.

        Args:
            batches: ``(B, S, L, D)`` each, in the order of the utterances.
            speakers: of the N utterances; at least one is known.
            reduce: over a speaker's utterances.

        Raises:
            UserError: when no speaker is known.
        """
        names = sorted({speaker for speaker in speakers if is_known(speaker)})
        if not names:
            raise UserError("no speaker is known by name, so there are no speaker vectors")
        number = {name: row for row, name in enumerate(names)}
        row_of = torch.tensor([number.get(speaker, NOBODY) for speaker in speakers])
        total, start = None, 0
        for batch in batches:
            rows = row_of[start : start + len(batch)].to(batch.device)
            start += len(batch)
            values = batch[rows != NOBODY].double()
            if total is None:
                first = 0.0 if reduce == "mean" else -torch.inf
                total = values.new_full((len(names), *batch.shape[1:]), first)
            if reduce == "mean":
                total.index_add_(0, rows[rows != NOBODY], values)
            else:
                index = rows[rows != NOBODY].view(-1, 1, 1, 1).expand_as(values)
                total.scatter_reduce_(0, index, values, "amax")
        assert total is not None  # somebody is known, so there is a batch
        if reduce == "mean":
            counts = torch.bincount(row_of[row_of != NOBODY], minlength=len(names)).to(total)
            total = total / counts.view(-1, 1, 1, 1)
        return cls(names, total.float(), row_of)

    def lent_to(self, speakers: Sequence[str]) -> Voices:
        """The same statistics for other utterances (enrolment).

        Args:
            speakers: of the other utterances.

        Raises:
            UserError: when a known one of them has no row.
        """
        number = {name: row for row, name in enumerate(self.speakers)}
        missing = sorted({each for each in speakers if is_known(each) and each not in number})
        if missing:
            what = f"{counted(len(missing), 'speaker')} without an enrolment utterance: {first_few(missing)}"
            raise UserError(what)
        rows = torch.tensor([number.get(speaker, NOBODY) for speaker in speakers])
        return Voices(self.speakers, self.statistics, rows)
