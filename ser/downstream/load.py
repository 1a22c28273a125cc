"""A trained experiment as a recogniser of audio, whichever verb has trained it."""

from __future__ import annotations

import os
from pathlib import Path

from ser.downstream.experiment import Experiment
from ser.downstream.recogniser import Recogniser


def load_recogniser(
    experiment: str | os.PathLike[str],
    upstream: str | None = None,
    seed: int | None = None,
    fold: str | None = None,
    device: str = "auto",
) -> Recogniser:
    """Load an experiment of ``ser train`` or ``ser finetune``.

    Args:
        experiment: exp/<tag>.
        upstream: where its upstream is now, if that has moved: ``hf:<folder>``.
        seed: models of this seed alone.
        fold: the model of this fold alone.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:<n>``.

    Raises:
        UserError: when there is no such experiment, seed or fold, or its upstream is not to be had or is
            another one.
    """
    found = Experiment(Path(experiment))
    if (found.path / "config.yaml").is_file() and found.is_fine_tuned():
        # Not for what runs on features: it wants an encoder's libraries.
        from ser.downstream.finetune.recogniser import EndToEndRecogniser

        return EndToEndRecogniser.load(found.path, upstream, seed, fold, device)
    return Recogniser.load(found.path, upstream, seed, fold, device)
