"""The convolutional front end of HuBERT, WavLM and wav2vec2, with lengths carried through it.

Base-size models normalise the first convolution over time (GroupNorm with one channel a group), so in a
padded batch the padding changes every frame of an utterance: by .2 to .6 of its size. Here the statistics
are taken over the utterance's own frames. The other layers look at no frame beyond their own: the
convolutions have no padding, so a frame is valid when all of its input is.

Large models normalise each frame over its channels (LayerNorm) after every convolution. On a CPU their
channels are kept innermost all the way, which saves two transposes a layer.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def receptive_field(conv_layers: Iterable[nn.Module]) -> int:
    """Samples that the first frame needs: 400 for the usual stack, 25 ms."""
    field, hop = 1, 1
    for layer in conv_layers:
        field += (layer.conv.kernel_size[0] - 1) * hop
        hop *= layer.conv.stride[0]
    return field


def hop_of(conv_layers: Iterable[nn.Module]) -> int:
    """Samples from one frame to the next: 320 for the usual stack, 20 ms."""
    samples = 1
    for layer in conv_layers:
        samples *= layer.conv.stride[0]
    return samples


def convolve(conv_layers: Iterable[nn.Module], wave: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Run the front end.

    Args:
        conv_layers: transformers' layers, each with ``conv``, ``activation`` and perhaps ``layer_norm``.
        wave: ``(B, T)``.
        lengths: ``(B,)`` samples.

    Returns:
        ``(B, F, C)`` and the frames ``(B,)`` that are valid.
    """
    x = wave[:, None]
    for layer in conv_layers:
        norm = getattr(layer, "layer_norm", None)
        innermost = isinstance(norm, nn.LayerNorm) and x.device.type == "cpu"
        x = _channels_innermost(layer.conv, x) if innermost else layer.conv(x)
        lengths = _output_length(layer.conv, lengths)
        if isinstance(norm, nn.GroupNorm):
            x = group_norm(norm, x, lengths)
        elif norm is not None:
            x = norm(x.transpose(1, 2)).transpose(1, 2)
        x = layer.activation(x)
    return x.transpose(1, 2), lengths


def group_norm(norm: nn.GroupNorm, x: Tensor, lengths: Tensor) -> Tensor:
    """GroupNorm of ``x (B, C, F)`` whose statistics stop at ``lengths (B,)``; zero beyond."""
    if bool((lengths >= x.shape[2]).all()):
        return norm(x)
    size, rows = x.shape[2], []
    for row, length in zip(x, lengths.tolist(), strict=True):
        own = F.group_norm(row[None, :, :length], norm.num_groups, norm.weight, norm.bias, norm.eps)
        rows.append(F.pad(own, (0, size - length)))
    return torch.cat(rows)


def _channels_innermost(conv: nn.Conv1d, x: Tensor) -> Tensor:
    """``conv`` of ``x (B, C, F)``, with the result's memory as of ``(B, F, C)``.

    By a convolution in two dimensions, one of them of size 1: torch copies the input of one in one dimension
    into the order ``(B, C, F)`` first.
    """
    weight = conv.weight[:, :, None].contiguous(memory_format=torch.channels_last)
    return F.conv2d(x[:, :, None], weight, conv.bias, (1, conv.stride[0])).squeeze(2)


def _output_length(conv: nn.Conv1d, lengths: Tensor) -> Tensor:
    """Output length of one convolution without padding."""
    return torch.div(lengths - conv.kernel_size[0], conv.stride[0], rounding_mode="floor") + 1
