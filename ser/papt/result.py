"""The encoder that a pre-training leaves: see ``ser.upstream.papt`` for what is in the folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ser.core.config import to_plain
from ser.core.files import write_text, write_yaml
from ser.core.log import get_logger
from ser.data.arks import ArkWriter
from ser.engine.checkpoint import save_model
from ser.papt.config import PaptConfig
from ser.papt.corpus import Corpus
from ser.papt.encoders import Heads, Source
from ser.papt.encoders.s3prl_hubert import obstacle, write_hubert
from ser.papt.model import MaskedPrediction
from ser.papt.speakers import speaker_vectors, utterance_means
from ser.upstream.huggingface import NOT_THE_MODEL
from ser.upstream.papt import CONFIG, ENCODER, SPEAKERS, VECTORS, WEIGHTS, make_upstream

log = get_logger(__name__)


def write_encoder(
    out: Path,
    model: MaskedPrediction,
    source: Source,
    config: PaptConfig,
    speakers: Sequence[str],
    corpus: Corpus,
    utterances: Sequence[str],
    facts: Mapping[str, Any],
) -> None:
    """Write the encoder's folder; its config.yaml comes last, and with it the encoder is finished.

    Args:
        out: the experiment's folder.
        model: after training.
        source: what it started from.
        config: how it was trained.
        speakers: in the order of the embedding.
        corpus: what it was trained on.
        utterances: those that were; they are encoded once more for the speakers' vectors.
        facts: further fields of config.yaml.
    """
    folder = out / ENCODER
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).unlink(missing_ok=True)
    about = to_plain({
        "family": source.family,
        "source": {"upstream": source.name, "checkpoint": source.checkpoint},
        "fusion": config.speaker.fusion, "protocol": config.protocol,
        "speakers": len(speakers), "embedding_width": config.speaker.width,
        "normalise": source.normalise, "normalise_epsilon": source.epsilon,
        "units": corpus.about_units, **facts, "architecture": _architecture(model),
    })  # fmt: skip
    save_model(folder / WEIGHTS, model, {"fusion": config.speaker.fusion, "family": source.family})
    write_text(folder / SPEAKERS, "".join(f"{speaker}\n" for speaker in speakers))
    upstream = make_upstream(model.encoder, speakers, about, folder, f"papt:{folder}", out.name)
    about = {"frame_rate": upstream.info.frame_rate, **about}
    _write_for_s3prl(folder / "hubert.pt", model, source, upstream.info.frame_rate)
    means = utterance_means(upstream, {name: corpus.seconds[name] for name in utterances}, corpus.wave,
                            f"speaker vectors {out.name}")  # fmt: skip
    with ArkWriter(folder / VECTORS.removesuffix(".scp")) as writer:
        for speaker, vector in speaker_vectors(means, corpus.speaker_of).items():
            writer.write(speaker, vector)
    write_yaml(folder / CONFIG, about)


def _architecture(model: MaskedPrediction) -> dict[str, Any]:
    """Fields of transformers' configuration, as plain values."""
    fields = model.encoder.model.config.to_dict()
    return {name: value for name, value in sorted(fields.items()) if name not in NOT_THE_MODEL}


def _write_for_s3prl(path: Path, model: MaskedPrediction, source: Source, frame_rate: float) -> None:
    """Write hubert.pt where the architecture is HuBERT's; say so where it is not."""
    reason = obstacle(source.family, model.encoder.model.config)
    if reason is not None:
        path.unlink(missing_ok=True)
        log.info("no hubert.pt for plain S3PRL: %s", reason)
        return
    proj = model.final_proj
    symbols = [str(unit) for unit in range(len(model.label_embeddings))]
    heads = Heads(proj.weight, proj.bias, model.label_embeddings, symbols)
    write_hubert(path, model.encoder.model, heads, model.mask_embedding, source.normalise, frame_rate)
