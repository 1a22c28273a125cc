"""Fine-tuned models as a recogniser of audio: each fold with an encoder of its own."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ser.core.errors import UserError
from ser.core.log import get_logger
from ser.downstream.conditioning.side import Side
from ser.downstream.ensemble import Mean, choose_folds
from ser.downstream.experiment import Experiment
from ser.downstream.finetune.model import Waves
from ser.downstream.finetune.saved import FineTuned
from ser.downstream.recogniser import Recogniser
from ser.downstream.recorded import load_recorded
from ser.downstream.saved import in_label_units
from ser.features.padding import pad
from ser.upstream.base import Upstream

logger = get_logger(__name__)

# Nobody is personal to these encoders; the name stands in the place of a speaker's.
NOBODY = ""
PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass
class EndToEndEnsemble(Mean[FineTuned]):
    """Fine-tuned models, each on an encoder of its own.

    Args:
        precision: in which the encoders run, ``no``, ``bf16`` or ``fp16``.
    """

    precision: str = "no"

    def hear(self, wave: Tensor, lengths: Tensor) -> Tensor:
        """What each of the M models makes of audio ``(n, T)``: ``(n, M, K + A)``.

        Gender and words are not known: the classifier, or what was learnt for the unknown, stands in.
        """
        return torch.stack([self._outputs(each, wave, lengths) for each in self.models], dim=1).cpu()

    def predict(self, outputs: Tensor) -> Tensor:
        """The mean of the models: ``(n, M, K + A)`` -> ``(n, K + A)``."""
        return outputs.mean(1)

    def _outputs(self, saved: FineTuned, wave: Tensor, lengths: Tensor) -> Tensor:
        """Predictions of one model, ``(n, K + A)``."""
        model, count = saved.model, len(lengths)
        device = model.upstream.device
        side = Side.unknown(count, saved.side, device) if saved.side else None
        text = None if side is None else side.text
        dtype = PRECISIONS.get(self.precision)
        with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
            v = model.embed(Waves(wave, lengths, (NOBODY,) * count, text=text))
        return in_label_units(model.head(model.inputs(v.float(), side)), saved.attributes)


class EndToEndRecogniser(Recogniser):
    """An experiment of ``ser finetune`` as a function of audio; see ``Recogniser``."""

    @classmethod
    def load(
        cls, experiment: str | os.PathLike[str], upstream: str | None = None, seed: int | None = None,
        fold: str | None = None, device: str = "auto",
    ) -> EndToEndRecogniser:  # fmt: skip
        """Arguments and errors as those of ``Recogniser.load``.

        Raises:
            UserError: for an encoder that wants to know who speaks, besides.
        """
        found = Experiment(Path(experiment))
        config, _ = found.load_config()
        chosen = choose_folds(found, seed, fold)
        models = []
        for folder in chosen.values():
            loaded = load_recorded(found, upstream, device)
            check_impersonal(loaded, found.path)
            models.append(FineTuned.load(folder / "model.safetensors", loaded, [NOBODY]))
        for what in models[0].side.not_in_audio():
            logger.warning("%s: %s", found.path, what)
        return cls(EndToEndEnsemble(list(chosen), models, config.precision), models[0].model.upstream)

    def _features(self, waves: Sequence[np.ndarray]) -> Iterable[Tensor]:
        """What the models make of samples ``(T_i,)`` in one batch: ``(M, K + A)`` each."""
        return self.ensemble.hear(*pad(waves))


def check_impersonal(upstream: Upstream, where: Path) -> None:
    """Refuse an encoder that has an embedding for every speaker.

    Raises:
        UserError: with the call that predicts its own data.
    """
    try:
        personal = upstream.vectors_of([NOBODY]) is not None
    except UserError:
        personal = True
    if personal:
        raise UserError(
            "its encoder has an embedding for every speaker, and a file does not tell who speaks", file=where,
            hint="It predicts its own data: ser predict EXPERIMENT",
        )  # fmt: skip
