"""What is known of utterances beside their sound: the speaker's gender and the words, as tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ser.core.errors import UserError
from ser.core.log import get_logger
from ser.data.datadir import DataDir
from ser.downstream.conditioning.side_config import SideOptions
from ser.text.store import read_embeddings

log = get_logger(__name__)

FEMALE, MALE, UNKNOWN = 0, 1, 2
GENDERS = {"f": FEMALE, "m": MALE}


@dataclass(frozen=True)
class Side:
    """Gender and text of N utterances.

    Attributes:
        gender: ``(N,)`` of ``FEMALE``, ``MALE``, ``UNKNOWN``; None where the model does not ask.
        text: ``(N, E)`` embeddings, NaN where there is no transcript; None where the model does not ask.
    """

    gender: Tensor | None = None
    text: Tensor | None = None

    @classmethod
    def unknown(cls, count: int, options: SideOptions, device: torch.device) -> Side:
        """Nothing is known of ``count`` utterances."""
        gender = torch.full((count,), UNKNOWN, device=device) if options.gender.on else None
        text = torch.full((count, options.text_dim), math.nan, device=device)
        return cls(gender, text if options.text.fusion != "none" else None)

    def take(self, rows: Tensor, device: torch.device | str = "cpu") -> Side:
        """Some utterances by row number ``(B,)``."""
        found = [each if each is None else each[rows.to(each.device)] for each in (self.gender, self.text)]
        return Side(*found).to(device)

    def to(self, device: torch.device | str) -> Side:
        """The same on a device."""
        return Side(*(each if each is None else each.to(device) for each in (self.gender, self.text)))

    def hidden(self, options: SideOptions, draws: torch.Generator) -> Side:
        """The same with some of it forgotten, independently of each other, as the options' ``hide`` says."""
        result = self
        if self.gender is not None and options.gender.hide:
            gone = _draw(len(self.gender), options.gender.hide, draws).to(self.gender.device)
            result = replace(result, gender=self.gender.masked_fill(gone, UNKNOWN))
        if self.text is not None and options.text.hide:
            gone = _draw(len(self.text), options.text.hide, draws).to(self.text.device)
            result = replace(result, text=self.text.masked_fill(gone[:, None], math.nan))
        return result


@dataclass(frozen=True)
class Told:
    """Gender and text of an experiment's utterances, by name.

    Args:
        options: what is asked for.
        row_of: utterance -> its row.
        side: of all utterances.
    """

    options: SideOptions
    row_of: Mapping[str, int]
    side: Side

    @classmethod
    def load(cls, sets: Sequence[tuple[DataDir, Path | None]], options: SideOptions) -> Told | None:
        """Arguments as those of ``load_side``; None where nothing is asked for."""
        side = load_side(sets, options)
        if side is None:
            return None
        names = [utterance for data, _ in sets for utterance in data.utterances]
        return cls(options, {name: row for row, name in enumerate(names)}, side)

    def of(self, utterances: Sequence[str], device: torch.device | str = "cpu") -> Side:
        """Gender and text of some utterances, in their order."""
        return self.side.take(torch.tensor([self.row_of[name] for name in utterances]), device)


def _draw(count: int, share: float, draws: torch.Generator) -> Tensor:
    """``(count,)`` booleans, True with probability ``share``; drawn on the CPU, alike on every device."""
    return torch.rand(count, generator=draws) < share


def load_side(sets: Sequence[tuple[DataDir, Path | None]], options: SideOptions) -> Side | None:
    """What one or more data directories tell, one after the other, as ``load_examples`` has them.

    Args:
        sets: (data directory, its embeddings of text where the options want text).
        options: what is asked for.

    Returns:
        None where the options ask for nothing.

    Raises:
        UserError: when embeddings are missing, or of another width.
    """
    if not options:
        return None
    gender, text = [], []
    for data, feats in sets:
        if options.gender.on:
            known = data.trait("gender")
            gender += [GENDERS.get(known.get(utterance, ""), UNKNOWN) for utterance in data.utterances]
        if options.text.fusion != "none":
            assert feats is not None
            text.append(_embeddings(data, feats, options.text_dim))
    return Side(torch.tensor(gender) if gender else None, torch.cat(text) if text else None)


def _embeddings(data: DataDir, feats: Path, dim: int) -> Tensor:
    """``(N, E)`` of a data directory, NaN where there is no transcript."""
    reader = read_embeddings(feats)
    found = np.full((len(data.utterances), dim), math.nan, dtype=np.float32)
    if reader is None:
        return torch.from_numpy(found)
    present = [place for place, utterance in enumerate(data.utterances) if utterance in reader]
    if not present:
        raise UserError(
            "embeddings of other utterances than the data directory's", file=feats, value=data.path
        )
    arrays = reader.load([data.utterances[place] for place in present])
    for place, array in zip(present, arrays, strict=True):
        if array.shape != (dim,):
            raise UserError(
                "embeddings of another width than the training set's", file=feats,
                value=f"{array.shape} against {dim}", hint="Make all sets' with the same text encoder",
            )  # fmt: skip
        found[place] = array
    return torch.from_numpy(found)


def text_dim(feats: Path) -> int:
    """E of a folder of embeddings.

    Raises:
        UserError: when there are none.
    """
    reader = read_embeddings(feats)
    if reader is None:
        raise UserError(
            "no training utterance has a transcript", file=feats,
            hint="'ser asr' recognises them; text.fusion: none needs none",
        )  # fmt: skip
    return len(reader[next(iter(reader))])


def check_side(options: SideOptions, data: DataDir, others: Sequence[DataDir]) -> None:
    """Refuse to learn from gender that the training set does not tell; warn of sets that do not.

    Raises:
        UserError: when fewer than two genders are known of its speakers.
    """
    if not options.gender.on:
        return
    known = set(data.trait("gender").values())
    if len(known) < 2:
        what = "only one gender in the training set" if known else "no gender is known in the training set"
        raise UserError(
            what, file=data.path / "spk2gender", value=", ".join(known) or None,
            hint="Write spk2gender or utt2gender (m or f), or set gender.fusion: none, gender.task: false",
        )  # fmt: skip
    for other in others:
        if options.gender.fusion != "none" and options.gender.source == "true" and not other.trait("gender"):
            log.warning("%s: no gender is known; the learned vector of unknown gender stands in", other.path)
