"""A personalised encoder that ``ser papt`` has written, as an upstream: ``papt:exp/papt/<name>/encoder``.

encoder/
    model.safetensors     encoder, speaker network and heads of pre-training
    config.yaml           family, architecture, fusion, normalisation, protocol, what it was made from
    speakers.txt          speakers in the order of the embedding
    spk_vectors.scp       the training speakers' vectors, by which unseen speakers find their nearest
    hubert.pt             the same encoder for S3PRL's hubert_local, which does not add e_i
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ser.core.errors import UserError
from ser.core.files import read_yaml
from ser.core.tensors import open_tensors
from ser.upstream.base import Upstream, UpstreamInfo, count_parameters
from ser.upstream.checkpoint import hash_files
from ser.upstream.convolution import hop_of, receptive_field
from ser.upstream.personalised import PersonalisedEncoder, build_model
from ser.upstream.speaker import Mixtures, format_mixture, read_mixtures
from ser.upstream.wav2vec2 import normalise

ENCODER = "encoder"
WEIGHTS, CONFIG, SPEAKERS, VECTORS = "model.safetensors", "config.yaml", "speakers.txt", "spk_vectors.scp"
SAMPLE_RATE = 16000
# Fields of config.yaml without which the encoder cannot be run.
NEEDED = ("family", "architecture", "fusion", "embedding_width", "normalise", "normalise_epsilon")


class PaptUpstream(Upstream):
    """E with e_i where ``speaker`` is given, and E alone where it is not.

    Args:
        encoder: the encoder, its weights filled in.
        info: what it is.
        speakers: the training speakers, in the order of the embedding.
        config: content of config.yaml.
        folder: where it lies.
    """

    maskable = True

    def __init__(
        self,
        encoder: PersonalisedEncoder,
        info: UpstreamInfo,
        speakers: Sequence[str],
        config: Mapping[str, Any],
        folder: Path,
    ) -> None:
        super().__init__()
        self.encoder, self.info, self.speakers = encoder, info, list(speakers)
        self.config, self.folder = config, folder
        self.transductive = config.get("protocol") == "transductive"
        self.min_samples = receptive_field(encoder.model.feature_extractor.conv_layers)
        self._index = {speaker: index for index, speaker in enumerate(self.speakers)}
        self._mixtures: dict[str, dict[str, float]] = {}
        self.normalise = bool(config["normalise"])
        self._settings = {name: config[name] for name in NEEDED} | {"trained": self.speakers}
        self.settings = dict(self._settings)

    def encode(self, wave: Tensor, lengths: Tensor, last_layer: int) -> tuple[list[Tensor], Tensor]:
        """E without e_i; see :meth:`Upstream.encode`."""
        return self.encode_spoken(wave, lengths, None, last_layer)

    def encode_spoken(
        self, wave: Tensor, lengths: Tensor, speaker: Tensor | None, last_layer: int
    ) -> tuple[list[Tensor], Tensor]:
        """E with the vectors ``(B, D)`` of :meth:`vectors_of`.

        Raises:
            ValueError: for vectors of another shape.
        """
        if speaker is not None and speaker.shape != (len(wave), self.info.dim):
            raise ValueError(f"speaker vectors {tuple(speaker.shape)} for {len(wave)} utterances")
        if self.normalise:
            wave = normalise(wave, lengths, float(self.config["normalise_epsilon"]))
        features, frames = self.encoder.convolve(wave, lengths)
        x = self.encoder.project(features, frames)
        return self.encoder.transform(x, frames, speaker, last_layer), frames

    def take_as_given(self) -> None:
        """See :meth:`Upstream.take_as_given`."""
        self.normalise = False

    def assign_speakers(self, path: Path) -> None:
        """See :meth:`Upstream.assign_speakers`."""
        if self.encoder.speaker is None:
            super().assign_speakers(path)
        self.mix_speakers(read_mixtures(path, self.speakers))

    def mix_speakers(self, mixtures: Mixtures) -> None:
        """Say of which training speakers others are made."""
        self._mixtures = {speaker: dict(parts) for speaker, parts in mixtures.items()}
        text = {speaker: format_mixture(parts) for speaker, parts in sorted(mixtures.items())}
        self.settings = {**self._settings, "speakers": text}

    def vectors_of(self, speakers: Sequence[str]) -> Tensor | None:
        """Vectors e_i ``(B, D)``: the speaker's own, or mixed as assigned; None with fusion ``none``.

        Raises:
            UserError: for a speaker who is neither in the embedding nor assigned.
        """
        if self.encoder.speaker is None:
            return None
        weights = torch.zeros(len(speakers), len(self.speakers))
        for row, speaker in zip(weights, speakers, strict=True):
            if speaker in self._mixtures:
                for name, weight in self._mixtures[speaker].items():
                    row[self._index[name]] = weight
            elif speaker in self._index:
                row[self._index[speaker]] = 1.0
            else:
                raise UserError(
                    f"the encoder {self.info.tag} has no embedding of this speaker", value=speaker,
                    hint=f"Run 'ser speakers DATA --upstream {self.info.name} --unseen nearest --out FILE'"
                    " and pass --speakers FILE",
                )  # fmt: skip
        return self.encoder.speaker.mix(weights.to(self.device))


def locate_encoder(where: str) -> Path:
    """The folder of an encoder: itself, or the experiment's that holds it.

    Raises:
        UserError: no such folder, or one without a finished encoder.
    """
    folder = Path(where).expanduser()
    if (folder / ENCODER / CONFIG).is_file():
        folder = folder / ENCODER
    if not (folder / CONFIG).is_file():
        raise UserError(
            "no personalised encoder in this folder", file=folder, hint="Run 'ser papt' to its end"
        )
    return folder


def load_papt(where: str, name: str, tag: str) -> PaptUpstream:
    """Load a personalised encoder.

    Raises:
        UserError: no such folder, or files that do not belong together.
    """
    folder = locate_encoder(where)
    config = read_yaml(folder / CONFIG)
    missing = [key for key in NEEDED if not isinstance(config, dict) or key not in config]
    if missing:
        raise UserError("not the config.yaml of an encoder: no field", file=folder / CONFIG, value=missing[0])
    try:
        speakers = (folder / SPEAKERS).read_text(encoding="utf-8").split()
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", file=folder / SPEAKERS) from None
    model = build_model(config["family"], config["architecture"])
    encoder = PersonalisedEncoder(model, config["fusion"], len(speakers), config["embedding_width"])
    fill_encoder(encoder, folder / WEIGHTS)
    return make_upstream(encoder, speakers, config, folder, name, tag)


def make_upstream(
    encoder: PersonalisedEncoder,
    speakers: Sequence[str],
    config: Mapping[str, Any],
    folder: Path,
    name: str,
    tag: str,
) -> PaptUpstream:
    """The upstream of an encoder that is in memory; its weights lie in ``folder`` already."""
    model = encoder.model
    hop = hop_of(model.feature_extractor.conv_layers)
    info = UpstreamInfo(
        name=name, tag=tag, family=config["family"], sample_rate=SAMPLE_RATE, frame_rate=SAMPLE_RATE / hop,
        num_layers=encoder.num_layers + 1, dim=model.config.hidden_size,
        parameters=count_parameters(encoder), checkpoint=hash_files([folder / WEIGHTS]),
    )  # fmt: skip
    return PaptUpstream(encoder, info, speakers, config, folder)


def fill_encoder(encoder: PersonalisedEncoder, path: Path) -> None:
    """Fill an encoder from the ``encoder.`` entries of a file that has the heads as well.

    Raises:
        UserError: no such file, or weights of another architecture.
    """
    prefix = "encoder."
    with open_tensors(path) as stored:
        names = [name for name in stored.keys() if name.startswith(prefix)]  # noqa: SIM118
        state = {name.removeprefix(prefix): stored.get_tensor(name) for name in names}
    try:
        encoder.load_state_dict(state)
    except RuntimeError as error:
        what = str(error).split("\n")[1:2] or [str(error)]
        raise UserError("weights of another architecture", file=path, value=what[0].strip()) from None
