"""What a model on features is told of the speaker: the options of ``speaker:`` in conf/*.yaml."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from ser.core.errors import UserError

Representation = Literal["none", "embedding", "mean", "max", "projection"]
Placement = Literal["last", "first", "prefix", "concatenate"]

IN_WORDS = {
    "embedding": "learned speaker embedding", "mean": "fixed speaker mean", "max": "fixed speaker maximum",
    "projection": "learned projection of the speaker mean",
}  # fmt: skip
PLACED = {"last": "added", "prefix": "as a token", "concatenate": "concatenated"}


@dataclass
class SpeakerConfig:
    """How the speaker is represented beside the utterance, and where that enters.

    The encoder's features are frozen here. PAPT's own speaker embeddings are in the features already where
    these were extracted with ``papt:<folder>``.

    Args:
        representation: ``none``; ``mean`` or ``max`` over the speaker's utterance vectors; ``projection``,
            a learned matrix times the mean; ``embedding``, a learned table of the training speakers and a
            fully connected layer, as PAPT has them.
        placement: ``last`` adds it to the utterance's vector, ``concatenate`` sets it beside that, ``prefix``
            makes it a token in front of it, for ``model.head: transformer``. ``first``, PAPT's addition to
            the encoder's input, wants an encoder that is trained, and is refused here.
        width: of a row of the embedding's table (open in the paper).
        unseen: what ``embedding`` takes for a speaker it was not trained on: the embedding of the
            ``nearest`` training speaker by cosine of the speakers' means, the mean of the ``knn``, the
            ``mean`` of all, or ``zero`` (open in the paper).
        k: neighbours of ``knn``.
        enrolment: name of a test set from whose utterances alone the vectors of all test speakers are
            made; None takes the utterances that are predicted.
    """

    representation: Representation = "none"
    placement: Placement = "last"
    width: int = 128
    unseen: Literal["nearest", "knn", "mean", "zero"] = "nearest"
    k: int = 5
    enrolment: str | None = None

    @property
    def hears_test_speakers(self) -> bool:
        """Whether a test speaker's other audio is looked at."""
        if self.representation == "embedding":
            return self.unseen in ("nearest", "knn")
        return self.representation != "none"

    def check(self, head: str, standardise: str) -> None:
        """Refuse combinations that mean nothing.

        Args:
            head: ``model.head``.
            standardise: ``model.standardise``.

        Raises:
            UserError: naming the option and the remedy.
        """
        for name in ("width", "k"):
            if getattr(self, name) < 1:
                raise UserError(f"speaker.{name} must be at least 1", value=getattr(self, name))
        if self.representation == "none":
            if self.enrolment is not None:
                raise UserError("speaker.enrolment without a speaker.representation", value=self.enrolment)
            return
        if self.placement == "first":
            raise UserError(
                "speaker.placement first is before an encoder's layers, and the features come after them",
                hint="Train the encoder: ser papt --speaker.fusion first, then features of papt:<folder>",
            )
        if self.placement == "prefix" and head != "transformer":
            raise UserError(
                "speaker.placement prefix is a token, and only a Transformer reads tokens",
                value=f"model.head: {head}", hint="Use model.head: transformer, or concatenate",
            )  # fmt: skip
        if standardise == "speaker" and self.hears_test_speakers:
            raise UserError(
                "model.standardise: speaker takes away what tells speakers apart",
                value=f"speaker.representation: {self.representation}",
                hint="Use model.standardise: global",
            )

    def check_sets(self, tests: Collection[str]) -> None:
        """Refuse enrolment from what is no test set.

        Args:
            tests: names of the test sets; empty for cross-validation.

        Raises:
            UserError: with their names.
        """
        if self.enrolment is None:
            return
        if self.enrolment not in tests:
            known = ", ".join(tests) or "none, in cross-validation"
            raise UserError(
                "speaker.enrolment is no test set", value=self.enrolment, hint=f"There are: {known}"
            )
        if len(tests) == 1:
            raise UserError("no other test set than that of speaker.enrolment", value=self.enrolment)

    def describe(self) -> list[str]:
        """The words of tables; they say where a test speaker's other audio is looked at."""
        if self.representation == "none":
            return []
        words = f"{IN_WORDS[self.representation]}, {PLACED[self.placement]}"
        if self.representation == "embedding":
            rule = f"{self.k} nearest" if self.unseen == "knn" else self.unseen
            words += f", unseen speakers: {rule}"
        if self.hears_test_speakers:
            words += f", enrolled on {self.enrolment}" if self.enrolment else " (transductive)"
        return [words]
