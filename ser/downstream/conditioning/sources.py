"""Where the words are that a model is told: embeddings of transcripts beside every set."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from ser.core.errors import UserError
from ser.data.datadir import DataDir
from ser.downstream.conditioning.side import text_dim
from ser.downstream.conditioning.side_config import GenderConfig, SideOptions, TextConfig
from ser.text.store import embeddings_fingerprint


@dataclass(kw_only=True)
class TextSources:
    """Embeddings of the transcripts of an experiment's sets, as ``ser text`` makes them.

    Args:
        text_feats: of the training set's, where the model is told of words.
        validation_text_feats: of the validation set's.
        test_text_feats: of the test sets', in their order.
    """

    text_feats: Path | None = None
    validation_text_feats: Path | None = None
    test_text_feats: list[Path] = field(default_factory=list)

    def check_text(self, validation: bool, tests: int) -> None:
        """Refuse embeddings of the transcripts of some sets only.

        Args:
            validation: whether there is a validation set.
            tests: number of test sets.

        Raises:
            UserError: naming the options.
        """
        of_sets = [bool(self.text_feats), bool(self.validation_text_feats), bool(self.test_text_feats)]
        if any(of_sets) and (
            of_sets != [True, validation, bool(tests)] or len(self.test_text_feats) != tests
        ):
            raise UserError(
                "embeddings of text are wanted of every set, or of none",
                hint="Give --text-feats, --validation-text-feats and --test-text-feats",
            )

    def text_of(self, names: Mapping[str, object]) -> dict[str, Path]:
        """Source name -> embeddings of its transcripts; empty where there are none.

        Args:
            names: ``pairs()`` of the experiment's sources, whose order is training, validation, tests.
        """
        if self.text_feats is None:
            return {}
        found = [self.text_feats, self.validation_text_feats, *self.test_text_feats]
        return dict(zip(names, [each for each in found if each is not None], strict=True))

    def hash_text(self, digest: hashlib._Hash, names: Mapping[str, object]) -> None:
        """Add the embeddings to a digest; arguments as those of ``text_of``."""
        for name, feats in self.text_of(names).items():
            digest.update(f"text of {name} {embeddings_fingerprint(feats)}".encode())


S = TypeVar("S", bound=TextSources)


def told_sources(text: TextConfig, sources: S) -> S:
    """The sources, without embeddings of text where the model is not told of words.

    Raises:
        UserError: when it is, and there are none.
    """
    if text.fusion == "none":
        return replace(sources, text_feats=None, validation_text_feats=None, test_text_feats=[])
    if sources.text_feats is None:
        raise UserError(
            "text.fusion wants embeddings of the transcripts", value=text.fusion,
            hint="Give --text-feats, of 'ser text', for every set",
        )  # fmt: skip
    return sources


def side_options(gender: GenderConfig, text: TextConfig, sources: TextSources) -> SideOptions:
    """What the model is told beside the sound, with the width of the embeddings there are."""
    dim = 0 if sources.text_feats is None else text_dim(sources.text_feats)
    return SideOptions(gender, text, dim)


def told_sets(
    sets: Mapping[str, tuple[DataDir, Path | None]], sources: TextSources
) -> list[tuple[DataDir, Path | None]]:
    """(data directory, embeddings of its transcripts or None) of every set, for ``Told.load``."""
    text = sources.text_of(sets)
    return [(data, text.get(name)) for name, (data, _) in sets.items()]
