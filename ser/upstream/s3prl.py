"""Upstreams by their S3PRL name, and S3PRL's local checkpoints.

``S3PRLUpstream`` is not used: it repeats frames to reach a length of its own, resets the seeds, and its
padding masks keep a frame or two too many. The experts under it are right for one utterance, so each
utterance is given to them alone.
"""

from __future__ import annotations

import contextlib
import difflib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from ser.core.errors import UserError
from ser.core.seed import preserved_random_state
from ser.upstream import torchaudio_stub  # noqa: F401  (before s3prl, which imports torchaudio)
from ser.upstream.base import Upstream, UpstreamInfo, count_parameters
from ser.upstream.checkpoint import hash_files, hash_parameters

SAMPLE_RATE = 16000
# Entries that are useless without a checkpoint.
WANT_CHECKPOINT = ("_local", "_custom", "_url", "_gdriveid")


def load_s3prl(entry: str, checkpoint: str | None, name: str, tag: str) -> Upstream:
    """Build an entry of ``s3prl.hub``.

    Args:
        entry: ``fbank``, ``hubert_base``, ``hubert_local`` ...
        checkpoint: path for the entries that want one (``*_local``, ``*_custom``).
        name: what the user called it.
        tag: its short name.

    Raises:
        UserError: no such entry, no checkpoint where one is wanted, or one that cannot be loaded.
    """
    with preserved_random_state():
        build = _entry(entry)
        wants = entry.endswith(WANT_CHECKPOINT)
        if wants and checkpoint is None:
            raise UserError(f"'{entry}' needs a checkpoint", hint=f"Write s3prl:{entry}:<path>")
        if (
            checkpoint is not None
            and not checkpoint.startswith(("http://", "https://"))
            and not os.path.exists(checkpoint)
        ):
            raise UserError("no such checkpoint", file=checkpoint)
        first = "model_config" if entry == "baseline_local" else "ckpt"
        options = {} if checkpoint is None else {first: checkpoint}
        try:
            with open(os.devnull, "w") as sink, contextlib.redirect_stdout(sink):
                expert = build(**options)
        except Exception as error:  # the experts raise whatever they like
            reason = f"{type(error).__name__}: {error}".split("\n")[0]
            raise UserError(f"S3PRL cannot build '{entry}'", file=checkpoint, value=reason) from None
        return S3prlUpstream(expert, entry, checkpoint, name, tag)


def _entry(entry: str) -> Callable[..., nn.Module]:
    """The function of ``s3prl.hub`` that builds an entry."""
    with open(os.devnull, "w") as sink, contextlib.redirect_stdout(sink):
        import s3prl.hub

    known = s3prl.hub.options()
    if entry not in known:
        near = difflib.get_close_matches(entry, known, n=3, cutoff=0.5)
        hint = f"The nearest of S3PRL's {len(known)} names are {', '.join(near)}" if near else None
        hint = (
            f"{hint}; a Hugging Face folder is written hf:<path>"
            if hint
            else "A Hugging Face folder is written hf:<path>"
        )
        raise UserError("no such upstream", value=entry, hint=hint)
    return getattr(s3prl.hub, entry)


class S3prlUpstream(Upstream):
    """An expert of S3PRL, given one utterance at a time.

    Frames are the expert's own for that utterance: none repeated, none of padding.

    Args:
        expert: takes a list of waveforms and returns ``hidden_states``.
        entry: its name in ``s3prl.hub``.
        checkpoint: file or folder of its weights, if the user gave one.
        name: what the user called it.
        tag: its short name.
    """

    min_samples = 800  # S3PRL's own least, 50 ms

    def __init__(self, expert: nn.Module, entry: str, checkpoint: str | None, name: str, tag: str) -> None:
        super().__init__()
        self.expert = expert.eval().requires_grad_(False)
        self.preprocessor = _online_preprocessor(expert)
        noise = torch.randn(SAMPLE_RATE, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            states = self._states(noise)
        widths = sorted({state.shape[-1] for state in states})
        rates = expert.get_downsample_rates("hidden_states")
        rates = sorted({rates} if isinstance(rates, int) else set(rates))
        counts = {state.shape[1] for state in states}
        if len(widths) > 1 or len(rates) > 1 or len(counts) > 1:
            raise UserError(
                f"the layers of '{entry}' differ in width ({widths}) or frame rate (hops of {rates} samples)",
                hint="Only upstreams whose layers are alike can be used",
            )
        self.info = UpstreamInfo(
            name=name, tag=tag, family="s3prl", sample_rate=SAMPLE_RATE, frame_rate=SAMPLE_RATE / rates[0],
            num_layers=len(states), dim=widths[0], parameters=count_parameters(expert),
            checkpoint=_hash(expert, checkpoint), batching="one by one",
        )  # fmt: skip

    def encode(self, wave: Tensor, lengths: Tensor, last_layer: int) -> tuple[list[Tensor], Tensor]:
        """See :meth:`Upstream.encode`."""
        with preserved_random_state():
            rows = [
                self._states(row[:length])[: last_layer + 1]
                for row, length in zip(wave, lengths.tolist(), strict=True)
            ]
        layers = [
            pad_sequence([state[0] for state in states], batch_first=True)
            for states in zip(*rows, strict=True)
        ]
        return layers, torch.tensor([row[0].shape[1] for row in rows], device=wave.device)

    def _states(self, wave: Tensor) -> list[Tensor]:
        """Hidden states ``(1, F, D)`` of one utterance ``(T,)``."""
        if self.preprocessor is not None:
            # Left to itself it takes zeros at an utterance's end for padding and cuts them off.
            return list(self.preprocessor(wave[None, None], wavs_len=[len(wave)]))
        states = self.expert([wave])["hidden_states"]
        return list(states) if isinstance(states, list | tuple) else [states]


def _online_preprocessor(expert: nn.Module) -> Any | None:
    """The spectrogram module of ``mel`` and ``linear``, else None."""
    extracter = getattr(expert, "extracter", None)
    return extracter if type(extracter).__name__ == "OnlinePreprocessor" else None


def _hash(expert: nn.Module, checkpoint: str | None) -> str | None:
    """Hash of the checkpoint the user gave, or of the parameters of the one that S3PRL fetched."""
    if checkpoint is None or not os.path.exists(checkpoint):
        return hash_parameters(expert)
    if os.path.isdir(checkpoint):
        from ser.upstream.huggingface import weight_files

        return hash_files(weight_files(checkpoint)) or hash_parameters(expert)
    return hash_files([Path(checkpoint)])
