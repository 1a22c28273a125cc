"""Functionals of a corpus's sets, and who among the training speakers of a fold sounds like whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ser.core.errors import UserError
from ser.core.files import read_yaml, sha256, whole_file
from ser.data.datadir import DataDir
from ser.data.speakers import is_known
from ser.data.wording import counted, first_few
from ser.downstream.examples import PooledFeatures
from ser.downstream.protocol import Part
from ser.personalise.similar import Selection, divergences, selected, selection_counts


class Functionals:
    """One vector an utterance, of any upstream: the time-means of its layers, one after the other.

    For functionals (``compare``, ``egemaps``) that is the functionals themselves.

    Args:
        folder: ``feats/<tag>``, with a folder of features for every set, named as its data directory.
        sets: source name -> data directory.

    Attributes:
        tag: short name of the upstream.

    Raises:
        UserError: a set has no features there, or the features are of different upstreams.
    """

    def __init__(self, folder: Path, sets: Mapping[str, DataDir]) -> None:
        self._sets = sets
        self._folders = {name: folder / data.path.resolve().name for name, data in sets.items()}
        self._loaded: dict[str, tuple[dict[str, int], np.ndarray]] = {}
        metas = {}
        for name, each in self._folders.items():
            if not (each / "meta.yaml").is_file():
                hint = f"Run 'ser extract {sets[name].path} {each} --upstream compare'"
                raise UserError("no such functionals", file=each / "meta.yaml", hint=hint)
            metas[name] = read_yaml(each / "meta.yaml")
            first = next(iter(metas.values()))
            if any(metas[name].get(key) != first.get(key) for key in ("tag", "checkpoint", "layers")):
                raise UserError(
                    "functionals of another upstream than the first set's", file=each / "meta.yaml"
                )
        self.tag = str(first.get("tag"))

    def of(self, part: Part) -> np.ndarray:
        """Functionals ``(N, F)`` of a part's utterances."""
        if part.source not in self._loaded:
            names = self._sets[part.source].utterances
            pooled = PooledFeatures({self._folders[part.source]: names}, 1)
            values = pooled.take(torch.arange(len(names))).flatten(1).numpy()
            self._loaded[part.source] = ({name: row for row, name in enumerate(names)}, values)
        row_of, values = self._loaded[part.source]
        return values[[row_of[utterance] for utterance in part.utterances]]

    def fingerprint(self) -> dict[str, list[str]]:
        """Hashes of what the functionals are known by, by set."""
        names = ("meta.yaml", "pooled_mean.scp")
        return {key: [sha256(each / name) for name in names] for key, each in self._folders.items()}


@dataclass(frozen=True)
class Similarity:
    """Divergences between the speakers of a fold.

    Attributes:
        test: P test speakers.
        train: R training speakers.
        table: symmetric KL divergences ``(P, R)``, in nats.
        neighbours: N.
    """

    test: list[str]
    train: list[str]
    table: np.ndarray
    neighbours: int

    @classmethod
    def between(
        cls,
        train: Part,
        tests: Sequence[Part],
        functionals: Functionals,
        speaker_of: Mapping[str, str],
        how: Selection,
    ) -> Similarity:
        """Compare the known speakers of test parts with those of a training part.

        Args:
            train: what is trained on.
            tests: what is tested; a speaker in several of them is one speaker.
            functionals: of both.
            speaker_of: utterance -> speaker.
            how: the models.

        Raises:
            UserError: nobody is known, or a test speaker is a training speaker.
        """
        ours, our_speakers = _known([train], functionals, speaker_of)
        theirs, their_speakers = _known(tests, functionals, speaker_of)
        for speakers, which in ((our_speakers, "training"), (their_speakers, "test")):
            if not speakers:
                raise UserError(f"no {which} speaker is known by name, so nobody is similar to anybody")
        if shared := sorted(set(our_speakers) & set(their_speakers)):
            raise UserError(
                f"{counted(len(shared), 'test speaker')} among the training speakers: {first_few(shared)}",
                hint="Adaptation wants test speakers that were not trained on",
            )
        test, trained, table = divergences(ours, our_speakers, theirs, their_speakers, how)
        return cls(test, trained, table, how.neighbours)

    def counts(self, speakers: Sequence[str], among: set[str]) -> dict[str, int]:
        """c_r of every training speaker: how many test speakers selected them.

        Args:
            speakers: the test speakers who select.
            among: the training speakers who can be selected; others have c_r = 0.

        Raises:
            UserError: when nobody can be selected.
        """
        columns = [column for column, name in enumerate(self.train) if name in among]
        if not columns:
            raise UserError("no training speaker known by name is left to be selected")
        rows = [self.test.index(name) for name in speakers]
        chosen = selected(self.table[np.ix_(rows, columns)], self.neighbours)
        found = dict.fromkeys(self.train, 0)
        counts = selection_counts(chosen, len(columns))
        return found | {self.train[column]: int(n) for column, n in zip(columns, counts, strict=True)}

    def write(self, path: Path, among: set[str]) -> None:
        """A line a test speaker: the selected training speakers and their divergences, for people and awk."""
        columns = np.array([column for column, name in enumerate(self.train) if name in among])
        with whole_file(path) as stream:
            stream.write("speaker\tsimilar training speakers (symmetric KL divergence in nats)\n")
            for row, speaker in enumerate(self.test):
                chosen = columns[selected(self.table[[row]][:, columns], self.neighbours)[0]]
                cells = " ".join(f"{self.train[column]}:{self.table[row, column]:.4g}" for column in chosen)
                stream.write(f"{speaker}\t{cells}\n")


def _known(
    parts: Sequence[Part], functionals: Functionals, speaker_of: Mapping[str, str]
) -> tuple[np.ndarray, list[str]]:
    """Functionals ``(N, F)`` and speakers of the utterances whose speaker is a person."""
    kept = [Part(part.source, [u for u in part.utterances if is_known(speaker_of[u])]) for part in parts]
    kept = [part for part in kept if part.utterances]
    values = [functionals.of(part) for part in kept]
    speakers = [speaker_of[utterance] for part in kept for utterance in part.utterances]
    return (np.concatenate(values) if values else np.empty((0, 0))), speakers
