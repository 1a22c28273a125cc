"""A trained experiment as a recogniser of audio, whichever verb has trained it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ser.downstream.experiment import Experiment
from ser.downstream.recogniser import Recogniser


def load_recogniser(experiment: str | os.PathLike[str], **options: Any) -> Recogniser:
    """Load an experiment of ``ser train`` or ``ser finetune``.

    Args:
        experiment: exp/<tag>.
        options: ``upstream``, ``seed``, ``fold``, ``device`` of ``Recogniser.load``.

    Raises:
        UserError: as ``Recogniser.load``.
    """
    found = Experiment(Path(experiment))
    if (found.path / "config.yaml").is_file() and found.is_fine_tuned():
        # Not for what runs on features: it wants an encoder's libraries.
        from ser.downstream.finetune.recogniser import EndToEndRecogniser

        return EndToEndRecogniser.load(found.path, **options)
    return Recogniser.load(found.path, **options)
