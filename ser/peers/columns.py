"""A peer's outputs as predictions of a corpus: classes and attributes by name, attributes on its scale.

Nothing is fitted. Classes of one common name are added up and divided by the sum over the shared ones:
p(class given that it is one that both know). A class of the corpus that the peer does not know has
probability 0, so that every row of a table is scored on the same utterances and classes; the row says which.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ser.core.errors import UserError
from ser.data.datadir import DataDir
from ser.data.labels import Range
from ser.peers.base import Peer
from ser.scoring.mapping import Mapping, SharedClasses, rescale, shared_attributes


@dataclass(frozen=True)
class Columns:
    """How a peer's outputs become a corpus's.

    Args:
        outputs: the peer's K + A names.
        classes: the corpus's classes in its order; empty where none are predicted.
        shared: the classes that both have; None where none are predicted.
        attributes: the corpus's name -> (the peer's name, the peer's scale, the corpus's).
    """

    outputs: list[str]
    classes: list[str]
    shared: SharedClasses | None
    attributes: dict[str, tuple[str, Range, Range]]

    @classmethod
    def between(
        cls,
        peer: Peer,
        ranges: dict[str, tuple[float, float]],
        data: DataDir,
        mapping_file: Path | None = None,
    ) -> Columns:
        """What a peer can predict of a corpus.

        Args:
            peer: its classes or attributes.
            ranges: the scales of its attributes.
            data: a data directory of the corpus.
            mapping_file: names that mean the same; ``ser score --model``'s by default.

        Raises:
            UserError: nothing is shared, or the corpus tells apart classes that have one common name.
        """
        mapping, labels = Mapping.read(mapping_file), data.labels
        shared = SharedClasses.between(peer.classes, labels.classes, mapping)
        pairs = shared_attributes(peer.attributes, list(labels.attributes), mapping)
        attributes = {
            theirs: (ours, Range(*ranges[ours]), labels.attributes[theirs]) for ours, theirs in pairs.values()
        }
        enough = len(shared.names) > 1
        if not enough and not attributes:
            known = ", ".join([*peer.classes, *peer.attributes])
            theirs = ", ".join([*labels.classes, *labels.attributes]) or "nothing"
            raise UserError(
                f"the peer predicts {known}, the data has {theirs}: too little in common", file=data.path,
                hint="Say which names mean the same with --mapping FILE",
            )  # fmt: skip
        for name in shared.names if enough else []:
            if len(own := shared.of_data[name]) > 1:
                raise UserError(
                    f"the data tells {' and '.join(own)} apart, the mapping calls both {name}",
                    file=data.path, hint="Take one out of the mapping, with --mapping FILE",
                )  # fmt: skip
        return cls(
            [*peer.classes, *peer.attributes],
            labels.classes if enough else [],
            shared if enough else None,
            attributes,
        )

    def convert(self, outputs: np.ndarray) -> np.ndarray:
        """A peer's outputs ``(N, K + A)`` as predictions of the corpus, float32: classes, then attributes."""
        count = len(outputs)
        parts = [np.empty((count, 0))]
        if self.shared is not None:
            known = self.shared.project(outputs.astype(np.float64), self.outputs)
            probabilities = np.zeros((count, len(self.classes)))
            for column, name in enumerate(self.shared.names):
                probabilities[:, self.classes.index(self.shared.of_data[name][0])] = known[:, column]
            parts.append(probabilities)
        for ours, of_peer, of_data in self.attributes.values():
            values = outputs[:, [self.outputs.index(ours)]].astype(np.float64)
            parts.append(rescale(values, of_peer, of_data))
        return np.concatenate(parts, axis=1).astype(np.float32)

    @property
    def unknown(self) -> list[str]:
        """Classes of the corpus that the peer never says."""
        return [] if self.shared is None else self.shared.data_only

    def record(self) -> dict[str, Any]:
        """What info.yaml keeps of it."""
        return {
            "outputs": self.outputs,
            "classes": None if self.shared is None else {
                name: {"peer": self.shared.of_model[name], "data": self.shared.of_data[name][0]}
                for name in self.shared.names
            },
            "of the peer only": [] if self.shared is None else self.shared.model_only,
            "of the data only": self.unknown,
            "attributes": {
                name: {"peer": ours, "from": [of_peer.min, of_peer.max], "to": [of_data.min, of_data.max]}
                for name, (ours, of_peer, of_data) in self.attributes.items()
            },
        }  # fmt: skip
