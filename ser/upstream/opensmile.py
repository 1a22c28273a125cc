"""openSMILE's functionals: one vector an utterance, no frames.

openSMILE is licensed for research, not for commercial use, hence an extra.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ser.core.errors import UserError
from ser.upstream.base import Upstream, UpstreamInfo

# name -> feature set in the opensmile package, number of functionals
FEATURE_SETS = {"egemaps": ("eGeMAPSv02", 88), "compare": ("ComParE_2016", 6373)}


class OpensmileUpstream(Upstream):
    """eGeMAPS v02 (Eyben et al. 2016) or ComParE 2016 (Schuller et al. 2016).

    One layer with one frame, the functionals over the utterance.

    Args:
        name: ``egemaps`` or ``compare``.

    Raises:
        UserError: the package opensmile is not installed.
    """

    min_samples = 1600  # functionals of fewer than a few frames are not defined

    def __init__(self, name: str) -> None:
        super().__init__()
        try:
            import opensmile
        except ImportError:
            raise UserError(
                f"upstream '{name}' needs openSMILE, which is not installed (its licence is for research)",
                hint="Run pip install 'ser-recipes[opensmile]'",
            ) from None
        feature_set, self.size = FEATURE_SETS[name]
        self.smile = opensmile.Smile(
            feature_set=opensmile.FeatureSet[feature_set],
            feature_level=opensmile.FeatureLevel.Functionals,
        )
        self.info = UpstreamInfo(
            name=name, tag=name, family="opensmile", sample_rate=16000, frame_rate=0.0, num_layers=1,
            dim=self.size, parameters=0, checkpoint=None, batching="one by one",
        )  # fmt: skip

    def encode(self, wave: Tensor, lengths: Tensor, last_layer: int) -> tuple[list[Tensor], Tensor]:
        """See :meth:`Upstream.encode`."""
        vectors = [
            self._functionals(row[:length])
            for row, length in zip(wave.cpu().numpy(), lengths.tolist(), strict=True)
        ]
        layer = torch.from_numpy(np.stack(vectors))[:, None].to(wave.device)
        return [layer], torch.ones_like(lengths)

    def _functionals(self, wave: np.ndarray) -> np.ndarray:
        """The functionals ``(N,)`` of one utterance ``(T,)``."""
        return self.smile(wave, self.info.sample_rate).reshape(self.size).astype(np.float32)
