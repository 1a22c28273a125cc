"""The two sides of the comparison with S3PRL: a random HuBERT in both libraries' files, and how each runs.

S3PRL's side is S3PRL's own code (``S3PRLUpstream``, its ``MeanPooling``), called as its emotion recipe calls
it. Ours is ``ser extract`` without the command line. Both have the same weights.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from scipy.stats import norm
from torch import Tensor, nn

from ser.core.seed import preserved_random_state
from ser.data.datadir import DataDir
from ser.data.labels import LabelSchema
from ser.features.extract import Extraction, ExtractionSettings
from ser.features.plan import BATCH_SECONDS, plan_batches
from ser.papt.encoders.s3prl_hubert import write_hubert
from ser.papt.encoders.scratch import LARGE_KIND, SIZES
from ser.papt.encoders.source import Heads
from ser.upstream import load_upstream
from ser.upstream.base import Upstream
from ser.upstream.personalised import build_model
from ser.upstream.s3prl import quiet

RATE = 16000
# Hsu et al. 2021, table 1; base is transformers' default. The others are for tests.
SHAPES: dict[str, dict[str, Any]] = {
    "base": {},
    "large": {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16,
              "intermediate_size": 4096} | LARGE_KIND,
    "tiny": SIZES["tiny"],
    "tiny-large": SIZES["tiny"] | LARGE_KIND,
}  # fmt: skip
# Turns of IEMOCAP last 4.5 s in the mean (Busso et al. 2008), 0.6 to 34 s. That they are log-normal with this
# spread, as spoken turns are, is assumed.
MEAN_SECONDS, SPREAD, SHORTEST, LONGEST = 4.5, 0.65, 0.6, 34.0
# IEMOCAP with four classes: turns of every session.
SESSIONS = (1085, 1023, 1151, 1031, 1241)
TURNS = sum(SESSIONS)
# What S3PRL loads: the model that `-u hubert` is, or its wrapper of transformers.
ENTRIES = ("hubert_local", "hf_hubert_custom")


def turn_seconds(count: int, seed: int = 0) -> np.ndarray:
    """Seconds ``(count,)`` of turns as IEMOCAP's: the distribution's quantiles, in a random order."""
    middle = norm.ppf((np.arange(count) + 0.5) / count)
    seconds = MEAN_SECONDS * np.exp(SPREAD * middle - SPREAD**2 / 2)
    return np.random.default_rng(seed).permutation(np.clip(seconds, SHORTEST, LONGEST))


def turns_in_batches(count: int, batch_seconds: float = BATCH_SECONDS) -> np.ndarray:
    """Seconds of about ``count`` turns: whole batches of ours, from short to long, of a corpus of ``TURNS``.

    Turns of a corpus of that size have others of their length to share a batch with; a few dozen drawn out of
    it have not, and would be padded by a twentieth. They come in a random order, in which S3PRL takes them.
    """
    corpus = {f"{number:05d}": seconds for number, seconds in enumerate(turn_seconds(TURNS).tolist())}
    batches = plan_batches(corpus, batch_seconds)
    taken = max(1, round(count * len(batches) / TURNS))
    places = ((np.arange(taken) + 0.5) / taken * len(batches)).astype(int)
    names = sorted(name for place in places for name in batches[place].utterances)
    return np.array([corpus[name] for name in names])


def write_model(folder: Path, shape: str) -> Path:
    """A random HuBERT for both sides: a Hugging Face folder, and ``hubert.pt`` in it for ``hubert_local``."""
    with preserved_random_state():
        torch.manual_seed(0)
        model = build_model("hubert", SHAPES[shape])
        model.save_pretrained(folder)
        normalise = model.config.feat_extract_norm == "layer"  # as the published large model, unlike base
        about = {
            "feature_extractor_type": "Wav2Vec2FeatureExtractor", "feature_size": 1, "sampling_rate": RATE,
            "do_normalize": normalise, "padding_value": 0.0, "return_attention_mask": True,
        }  # fmt: skip
        (folder / "preprocessor_config.json").write_text(json.dumps(about))
        width = model.config.hidden_size
        heads = Heads(torch.zeros(8, width), torch.zeros(8), torch.zeros(2, 8), ["0", "1"])
        write_hubert(folder / "hubert.pt", model, heads, torch.zeros(width), normalise, 50.0)
    return folder


def write_audio(folder: Path, seconds: Sequence[float]) -> DataDir:
    """A data directory of noise, an utterance for each of ``seconds``."""
    wavs, random = {}, np.random.default_rng(0)
    (folder / "wav").mkdir(parents=True)
    for number, length in enumerate(seconds):
        name = f"s-{number:05d}"
        wavs[name] = str(folder / "wav" / f"{name}.wav")
        soundfile.write(wavs[name], random.normal(0, 0.1, round(length * RATE)), RATE)
    tables = {"utt2spk": dict.fromkeys(wavs, "s")}
    DataDir(folder / "data", LabelSchema("noise"), tables, {"wav.scp": wavs}).write(folder / "data")
    return DataDir.load(folder / "data")


def load_theirs(folder: Path, entry: str, device: str) -> nn.Module:
    """``S3PRLUpstream`` of the model, in evaluation mode."""
    with preserved_random_state(), quiet():
        from s3prl.nn import S3PRLUpstream

        where = folder / "hubert.pt" if entry == "hubert_local" else folder
        return S3PRLUpstream(entry, path_or_url=str(where)).eval().to(device)


class Theirs:
    """S3PRL's way to features: batches as they come through ``S3PRLUpstream``, and its ``MeanPooling``.

    The waveforms lie in memory, as its recipe's ``pre_load`` has it, and nothing is written.

    Args:
        folder: of ``write_model``.
        entry: of :data:`ENTRIES`.
        data: the utterances.
        device: where it runs.
    """

    def __init__(self, folder: Path, entry: str, data: DataDir, device: str) -> None:
        from s3prl.nn.pooling import MeanPooling

        self.model, self.device = load_theirs(folder, entry, device), device
        self.pooling = MeanPooling(self.model.hidden_sizes[0])
        self.waves = [read(path) for path in data.wav_scp.values()]

    @torch.no_grad()
    def states(self, waves: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Hidden states ``(B, F, D)`` of every layer for waves ``(T_i,)``, and their frames ``(B,)``."""
        lengths = torch.tensor([len(wave) for wave in waves])
        padded = nn.utils.rnn.pad_sequence(list(waves), batch_first=True)
        return self.model(padded.to(self.device), lengths.to(self.device))

    def run(self, size: int, count: int | None = None) -> None:
        """Means over time of every layer; batches of ``size``, the first ``count`` utterances or all."""
        waves = self.waves[:count]
        for start in range(0, len(waves), size):
            layers, lengths = self.states(waves[start : start + size])
            torch.stack([self.pooling(*each) for each in zip(layers, lengths, strict=True)]).cpu()


class Ours:
    """Our way: audio read from files, batches of like length, means and deviations of every layer in arks.

    Args:
        folder: of ``write_model``.
        device: where it runs.
        batch_seconds: bound on the audio of a batch.
    """

    def __init__(self, folder: Path, device: str, batch_seconds: float) -> None:
        self.upstream = load_upstream(f"hf:{folder}", device)
        self.settings = ExtractionSettings(batch_seconds=batch_seconds)

    def run(self, data: DataDir, feats: Path, jobs: int = 1, job: int = 1) -> None:
        """One job's share of the features, planned anew as each job of a recipe plans it."""
        Extraction(data, feats, self.upstream, self.settings).run(jobs, job)

    def combine(self, data: DataDir, feats: Path) -> None:
        """Put the jobs' shares together."""
        Extraction(data, feats, self.upstream, self.settings).combine()


def read(path: str) -> Tensor:
    """A wav's samples ``(T,)``."""
    return torch.from_numpy(soundfile.read(path, dtype="float32")[0])


def largest_difference(found: Sequence[Sequence[Tensor]], reference: Sequence[Sequence[Tensor]]) -> float:
    """The largest ``|x - r| / |r|`` (Frobenius) over utterances and layers ``(F, D)``."""
    return max(
        float((x - r).norm() / r.norm())
        for layers, wanted in zip(found, reference, strict=True)
        for x, r in zip(layers, wanted, strict=True)
    )


@torch.inference_mode()
def states_of(upstream: Upstream, waves: Sequence[Tensor]) -> list[list[Tensor]]:
    """Our hidden states ``(F_i, D)`` of waves as one batch: utterance -> layers, on the CPU."""
    lengths = torch.tensor([len(wave) for wave in waves])
    padded = nn.utils.rnn.pad_sequence(list(waves), batch_first=True)
    found = upstream(padded.to(upstream.device), lengths.to(upstream.device))
    return [
        [layer[row, :frames].cpu() for layer in found.layers]
        for row, frames in enumerate(found.lengths.tolist())
    ]
