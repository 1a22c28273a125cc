"""Speech emotion recognition recipes: Kaldi-style stages on S3PRL and Hugging Face upstreams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ser.downstream.recogniser import Recogniser

__version__ = "0.1.0"


def load(experiment: str, **options: Any) -> Recogniser:
    """A trained experiment as a function of audio; torch is imported only now.

    >>> model = load("exp/fbank_emotion")  # doctest: +SKIP
    >>> model("a.wav").probabilities  # doctest: +SKIP

    Args:
        experiment: exp/<tag>, trained by ``ser train`` or ``ser finetune``.
        options: ``upstream``, ``seed``, ``fold``, ``device`` of ``Recogniser.load``.

    Raises:
        UserError: as ``Recogniser.load``.
    """
    from ser.downstream.load import load_recogniser

    return load_recogniser(experiment, **options)
