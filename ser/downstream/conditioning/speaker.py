"""The speaker's part in a model on features: p_s, and how it joins an utterance's vector x.

    representation   mean, max     p_s = mean, max over the speaker's utterance vectors
                     projection    p_s = W v_s,      v_s the mean, W learned
                     embedding     p_s = W e_s + b,  e_s a learned row of each training speaker
    placement        last          x + p_s
                     concatenate   [x; p_s], token by token where a Transformer reads tokens
                     prefix        p_s as a token before the utterance's

W and b start at zero, so that training with placement ``last`` starts from the model that knows of no
speaker. The variations are this project's; learned embedding, ``last`` and ``prefix`` are those of PAPT (Tran
et al., Interspeech 2023), which has them inside an encoder that is trained.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ser.core.errors import UserError
from ser.downstream.conditioning.speaker_config import SpeakerConfig
from ser.upstream.speaker import SpeakerNetwork


def token_sizes(config: SpeakerConfig, statistics: int, dim: int) -> list[int]:
    """Widths of the tokens that ``SpeakerBranch.join`` sets one after the other; arguments as there."""
    own = [dim] * statistics
    if config.representation == "none" or config.placement == "last":
        return own
    return [statistics * dim, *own] if config.placement == "prefix" else [2 * dim] * statistics


class SpeakerBranch(nn.Module):
    """Makes p_s and joins it with an utterance's vector.

    Args:
        config: representation and placement; not ``none``.
        speakers: R training speakers, in C order.
        statistics: S.
        dim: D.

    Raises:
        UserError: when there are too few training speakers for an embedding.
    """

    def __init__(self, config: SpeakerConfig, speakers: Sequence[str], statistics: int, dim: int) -> None:
        super().__init__()
        self.config, self.speakers = config, list(speakers)
        size = statistics * dim
        if config.representation == "projection":
            self.projection = nn.Linear(size, size, bias=False)
            nn.init.zeros_(self.projection.weight)
        if config.representation == "embedding":
            least = config.k if config.unseen == "knn" else 2
            if len(speakers) < least:
                raise UserError(
                    f"speaker embeddings want at least {least} training speakers", value=len(speakers)
                )
            self.network = SpeakerNetwork(len(speakers), config.width, size)
            nn.init.zeros_(self.network.project.weight)
            nn.init.zeros_(self.network.project.bias)
            # Their voices, by which the nearest of them to an unseen speaker are found.
            self.register_buffer("voices", torch.zeros(len(speakers), size))

    @property
    def reduce(self) -> str:
        """Over a speaker's utterance vectors."""
        return "max" if self.config.representation == "max" else "mean"

    @torch.no_grad()
    def remember(self, speakers: Sequence[str], vectors: Tensor) -> None:
        """Keep the training speakers' voices, where unseen speakers are compared with them.

        Args:
            speakers: P ids, the training speakers among them.
            vectors: their mean utterance vectors ``(P, S D)``.
        """
        if self.config.representation == "embedding":
            place = {name: row for row, name in enumerate(speakers)}
            self.voices.copy_(vectors[[place[name] for name in self.speakers]])

    def represent(self, speakers: Sequence[str], vectors: Tensor) -> Tensor:
        """p_s of some speakers.

        Args:
            speakers: P ids.
            vectors: mean, or maximum, of each one's utterance vectors ``(P, S D)``.

        Returns:
            ``(P, S D)``.
        """
        if self.config.representation == "embedding":
            return self.network.mix(self._weights(speakers, vectors))
        if self.config.representation == "projection":
            return self.projection(vectors)
        return vectors

    def join(self, utterances: Tensor, speakers: Tensor) -> Tensor:
        """What the head sees.

        Args:
            utterances: merged statistics ``(B, S, D)``.
            speakers: p_s of each one's speaker, ``(B, S D)``.
        """
        if self.config.placement == "last":
            return utterances.flatten(1) + speakers
        if self.config.placement == "prefix":
            return torch.cat([speakers, utterances.flatten(1)], dim=1)
        return torch.cat([utterances, speakers.view_as(utterances)], dim=2).flatten(1)

    def _weights(self, speakers: Sequence[str], vectors: Tensor) -> Tensor:
        """Of which training speakers each speaker is made, ``(P, R)``; training speakers of themselves."""
        column = {name: number for number, name in enumerate(self.speakers)}
        weights = vectors.new_zeros(len(speakers), len(self.speakers))
        if all(name in column for name in speakers):
            mixtures = {name: {name: 1.0} for name in speakers}
        else:
            # Not for models that have no embedding: it wants an encoder's libraries.
            from ser.papt.speakers import mixtures_for

            trained = dict(zip(self.speakers, self.voices.cpu().numpy(), strict=True))
            unseen = dict(zip(speakers, vectors.detach().cpu().numpy(), strict=True))
            mixtures = mixtures_for(speakers, trained, unseen, self.config.unseen, self.config.k)
        for row, name in enumerate(speakers):
            for other, weight in mixtures[name].items():
                weights[row, column[other]] = weight
        return weights
