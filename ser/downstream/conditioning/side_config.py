"""What a model is told of gender and words: ``gender:`` and ``text:`` of conf/*.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from ser.core.errors import UserError

# Of the attention from the text to the audio.
ATTENTION_HEADS = 4
FUSED = {
    "concatenate": "concatenated",
    "add": "added",
    "film": "by FiLM",
    "cross_attention": "cross-attention",
}


@dataclass
class GenderConfig:
    """How the speaker's gender enters (after Diatlova et al., Odyssey 2024, who leave the details open).

    Args:
        fusion: ``none``; ``concatenate`` sets a learned vector beside the utterance's, ``add`` adds one,
            ``film`` scales and shifts by one (Perez et al. 2018).
        source: ``true`` takes spk2gender or utt2gender, and a learned vector where that says nothing.
            ``predicted`` takes a classifier's posterior, a side task on the same utterance vector: nothing
            but audio is needed to predict. In training the labels stand in for it where they are known.
        task: learn gender as a further task (cross-entropy of a linear classifier on the utterance vector),
            whether it enters or not; ``predicted`` does so anyway.
        weight: of the side task's cross-entropy (open value).
        width: of the vector of ``concatenate`` (open value).
        hide: share of the training utterances, drawn anew each epoch, whose gender is hidden, so that the
            vector of unknown gender is learnt, or the posterior is met in training (open value).
    """

    fusion: Literal["none", "concatenate", "add", "film"] = "none"
    source: Literal["true", "predicted"] = "true"
    task: bool = False
    weight: float = 0.1
    width: int = 16
    hide: float = 0.1

    @property
    def on(self) -> bool:
        """Whether gender is asked for at all."""
        return self.fusion != "none" or self.task

    @property
    def classified(self) -> bool:
        """Whether a classifier is learnt."""
        return self.task or (self.fusion != "none" and self.source == "predicted")

    def check(self, standardise: str = "none") -> None:
        """Refuse what means nothing.

        Args:
            standardise: ``model.standardise``, where there is one.

        Raises:
            UserError: naming the option and the remedy.
        """
        _check_share("gender.hide", self.hide)
        if self.weight <= 0:
            raise UserError("gender.weight must be positive", value=self.weight)
        if self.width < 1:
            raise UserError("gender.width must be at least 1", value=self.width)
        if self.classified and standardise == "speaker":
            raise UserError(
                "model.standardise: speaker takes away what tells gender",
                value="gender.task: true" if self.task else "gender.source: predicted",
                hint="Use model.standardise: global, or gender.source: true without gender.task",
            )  # fmt: skip

    def describe(self) -> list[str]:
        """The words of tables."""
        words = [] if self.fusion == "none" else [f"gender ({self.source}), {FUSED[self.fusion]}"]
        return [*words, f"gender as a task x {self.weight:g}"] if self.task else words


@dataclass
class TextConfig:
    """How the embedding of the transcript enters (after Diatlova et al., Odyssey 2024; open there).

    Args:
        fusion: ``none``; ``concatenate`` sets the embedding beside the utterance's vector;
            ``cross_attention`` lets it query the audio: in fine-tuning the utterance's frames; of pooled
            features one token a layer and statistic (which layer to read, for these words), since their
            frames are gone.
        width: of the attention, a multiple of 4 (open value).
        hide: share of the training utterances, drawn anew each epoch, whose transcript is hidden, so that
            the vector of "no text" is learnt (open value).
    """

    fusion: Literal["none", "concatenate", "cross_attention"] = "none"
    width: int = 64
    hide: float = 0.1

    def check(self) -> None:
        """Refuse what means nothing.

        Raises:
            UserError: naming the option.
        """
        _check_share("text.hide", self.hide)
        if self.width < 1 or self.width % ATTENTION_HEADS:
            raise UserError(f"text.width must be a multiple of {ATTENTION_HEADS}", value=self.width)

    def describe(self) -> list[str]:
        """The words of tables."""
        return [] if self.fusion == "none" else [f"text, {FUSED[self.fusion]}"]


@dataclass
class SideOptions:
    """Both groups, and the width of what is read.

    Args:
        gender: how gender enters.
        text: how words enter.
        text_dim: E of the text encoder's embeddings, 0 without.
    """

    gender: GenderConfig = field(default_factory=GenderConfig)
    text: TextConfig = field(default_factory=TextConfig)
    text_dim: int = 0

    def __bool__(self) -> bool:
        """Whether anything is told."""
        return self.gender.on or self.text.fusion != "none"

    @classmethod
    def from_plain(cls, plain: dict[str, Any] | None) -> SideOptions:
        """What ``dataclasses.asdict`` made of one; nothing is told where there is None."""
        if plain is None:
            return cls()
        return cls(GenderConfig(**plain["gender"]), TextConfig(**plain["text"]), plain["text_dim"])

    def not_in_audio(self) -> list[str]:
        """What stands in for what audio alone does not tell, for a warning."""
        words = []
        if self.gender.fusion != "none" and self.gender.source == "true":
            words.append("gender is not known of files: the learned vector of unknown gender stands in")
        if self.text.fusion != "none":
            words.append("files have no transcript: the learned vector of 'no text' stands in")
        return words


def _check_share(name: str, value: float) -> None:
    """Raise for what is no share below 1."""
    if not 0 <= value < 1:
        raise UserError(f"{name} must be at least 0 and less than 1", value=value)
