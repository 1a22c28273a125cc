"""WavLM checkpoints of S3PRL and Microsoft: an encoder and a mask embedding; its heads are not in them."""

from __future__ import annotations

from pathlib import Path

from ser.core.errors import UserError
from ser.papt.encoders.s3prl_hubert import fill, load_tensors
from ser.papt.encoders.s3prl_names import architecture, to_transformers
from ser.papt.encoders.source import FAIRSEQ_EPSILON, Source
from ser.upstream import torchaudio_stub  # noqa: F401  (before s3prl, which imports torchaudio)
from ser.upstream.checkpoint import hash_files
from ser.upstream.personalised import build_model
from ser.upstream.s3prl import quiet


def load_wavlm(path: str, name: str) -> Source:
    """Read what ``wavlm_local`` reads.

    Raises:
        UserError: no such file, another kind of checkpoint, or another architecture.
    """
    state = load_tensors(path)
    if not isinstance(state, dict) or not {"cfg", "model"} <= state.keys():
        raise UserError("not a WavLM checkpoint", file=path)
    with quiet():
        from s3prl.upstream.wavlm.WavLM import WavLMConfig
    config = WavLMConfig(state["cfg"])
    if not (config.relative_position_embedding and config.gru_rel_pos):
        raise UserError("a WavLM without gated relative positions", file=path)
    fields = architecture(config, path) | {
        "num_buckets": config.num_buckets,
        "max_bucket_distance": config.max_distance,
    }
    model = fill(build_model("wavlm", fields), to_transformers(state["model"]), path)
    return Source(
        name, "wavlm", model, bool(config.normalize), FAIRSEQ_EPSILON, hash_files([Path(path)]),
        state["model"]["mask_emb"].float(),
    )  # fmt: skip
