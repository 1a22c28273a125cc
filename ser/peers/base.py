"""What a peer is: a waveform goes in, probabilities of its classes or values of its attributes come out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn

from ser.core.errors import UserError
from ser.peers.config import PeerConfig
from ser.upstream.base import Upstream, count_parameters


class Peer(nn.Module):
    """A published recogniser, exact in padded batches: an encoder, pooling over time, a head.

    Args:
        encoder: of waveforms; its last hidden state is what the head hears.
        classes: names of the outputs, in the order of the weights, where it is a classifier.
        attributes: the same where it is a regressor.
    """

    def __init__(self, encoder: Upstream, classes: Sequence[str], attributes: Sequence[str]) -> None:
        super().__init__()
        self.encoder, self.classes, self.attributes = encoder, list(classes), list(attributes)

    @abstractmethod
    def head(self, x: Tensor, frames: Tensor) -> Tensor:
        """Logits or values ``(B, K + A)`` of the last state ``x (B, F, D)``, zero beyond ``frames (B,)``."""

    def prepare(self, wave: Tensor) -> Tensor:
        """Waveforms ``(B, T)`` as the encoder was trained to have them, where it does not see to that."""
        return wave

    def forward(self, wave: Tensor, lengths: Tensor) -> Tensor:
        """Outputs of a batch.

        Args:
            wave: ``(B, T)`` mono waveforms in [-1, 1] at ``encoder.info.sample_rate``; ignored beyond
                ``lengths``.
            lengths: ``(B,)`` samples.

        Returns:
            ``(B, K + A)``: probabilities of the classes, or values of the attributes on the peer's scales.

        Raises:
            UserError: as ``Upstream.forward``.
        """
        states = self.encoder(self.prepare(wave), lengths)
        outputs = self.head(states.layers[-1], states.lengths)
        return outputs.softmax(-1) if self.classes else outputs

    @property
    def num_parameters(self) -> int:
        """Parameters of encoder and head."""
        return count_parameters(self)


def split_outputs(names: Sequence[str], config: PeerConfig, file: object) -> tuple[list[str], list[str]]:
    """The classes and the attributes among a model's outputs: one of the two is empty.

    Args:
        names: of the outputs, as the model's own file has them.
        config: its ``ranges`` say which are attributes.
        file: where the names stand.

    Raises:
        UserError: two outputs of one name, an attribute without a range, a range without an attribute.
    """
    if len(set(names)) < len(names):
        raise UserError("two outputs of one name", file=str(file), value=", ".join(names))
    if not config.ranges:
        return list(names), []
    if set(names) != set(config.ranges):
        raise UserError(
            f"the model predicts {', '.join(names)}; the configuration has ranges of"
            f" {', '.join(config.ranges)}",
            file=str(file),
            hint="Set ranges: one for each attribute by its name, and none for a classifier",
        )
    return [], list(names)
