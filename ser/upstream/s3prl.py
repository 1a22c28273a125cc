"""Upstreams by their S3PRL name, and S3PRL's local checkpoints.

``S3PRLUpstream`` is not used: it repeats frames to reach a length of its own, resets the seeds, and its
padding masks keep a frame or two too many. The experts under it are right for one utterance, so each
utterance is given to them alone.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ser.core.errors import UserError
from ser.core.seed import preserved_random_state
from ser.upstream import torchaudio_stub  # noqa: F401  (before s3prl, which imports torchaudio)
from ser.upstream.base import Upstream, UpstreamInfo, count_parameters
from ser.upstream.checkpoint import hash_files, hash_parameters
from ser.upstream.one_by_one import stack_rows

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
        if entry.endswith(WANT_CHECKPOINT) and checkpoint is None:
            raise UserError(f"'{entry}' needs a checkpoint", hint=f"Write s3prl:{entry}:<path>")
        is_url = checkpoint is not None and checkpoint.startswith(("http://", "https://"))
        if checkpoint is not None and not is_url and not os.path.exists(checkpoint):
            raise UserError("no such checkpoint", file=checkpoint)
        option = "model_config" if entry == "baseline_local" else "ckpt"
        try:
            with quiet():
                expert = build(**({} if checkpoint is None else {option: checkpoint}))
                return S3prlUpstream(expert, entry, checkpoint, name, tag)
        except UserError:
            raise
        except Exception as error:  # the experts raise whatever they like
            reason = f"{type(error).__name__}: {error}".split("\n")[0]
            raise UserError(f"S3PRL cannot build '{entry}'", file=checkpoint, value=reason) from None


def _entry(entry: str) -> Callable[..., nn.Module]:
    """The function of ``s3prl.hub`` that builds an entry."""
    with quiet():
        import s3prl.hub

    known = s3prl.hub.options()
    if entry not in known:
        near = difflib.get_close_matches(entry, known, n=3, cutoff=0.5)
        names = f"The nearest of S3PRL's {len(known)} names are {', '.join(near)}. " if near else ""
        raise UserError("no such upstream", value=entry, hint=f"{names}A model folder is written hf:<path>")
    return getattr(s3prl.hub, entry)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what S3PRL prints and warns of while it is imported and built from the user."""
    with (
        open(os.devnull, "w") as sink,
        contextlib.redirect_stdout(sink),
        contextlib.redirect_stderr(sink),
        warnings.catch_warnings(action="ignore"),
    ):
        yield


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
        return stack_rows(rows, wave.device)

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
        from ser.upstream.model_folder import weight_files

        return hash_files(weight_files(checkpoint)) or hash_parameters(expert)
    return hash_files([Path(checkpoint)])
