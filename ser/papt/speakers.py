"""Speaker vectors by the encoder without e_i, and embeddings for speakers that it has not been trained on.

    v_s = mean over the speaker's utterances of the time-mean of E's last layer without e_i
    e_s for a new speaker s, from the training speakers r:
        nearest   e_r of the highest cos(v_s, v_r)
        knn       mean of e_r over the k highest
        mean      mean of e_r over all r
        zero      0

The paper's test speakers are pre-trained on, but for test-c's, for whom the rule is open: all four are this
project's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
import torch

from ser.core.errors import UserError
from ser.core.log import Progress
from ser.data.arks import ArkReader
from ser.data.audio import AudioReader
from ser.data.datadir import DataDir
from ser.features.extract import encode
from ser.features.plan import BATCH_SECONDS, plan_batches
from ser.features.pool import pool
from ser.metrics.similarity import nearest
from ser.upstream.base import Upstream
from ser.upstream.papt import VECTORS, PaptUpstream

Rule = Literal["nearest", "knn", "mean", "zero"]
RULES: tuple[Rule, ...] = ("nearest", "knn", "mean", "zero")


def utterance_means(
    upstream: Upstream, seconds: Mapping[str, float], read: Callable[[str], np.ndarray], label: str
) -> dict[str, np.ndarray]:
    """Utterance -> time-mean ``(D,)`` of the last layer, without e_i.

    Args:
        upstream: the encoder.
        seconds: utterance -> duration.
        read: utterance -> samples ``(T,)``.
        label: of the progress.
    """
    means, progress = {}, Progress(sum(seconds.values()), label)
    with torch.inference_mode():
        for batch in plan_batches(seconds, BATCH_SECONDS):
            states = encode(upstream, [read(utterance) for utterance in batch.utterances])
            for utterance, (mean, _) in zip(batch.utterances, pool(states), strict=True):
                means[utterance] = mean[-1]
            progress.advance(batch.seconds)
    return means


def speaker_vectors(means: Mapping[str, np.ndarray], speaker_of: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Speaker -> mean ``(D,)`` over his utterances, in C order.

    >>> speaker_vectors({"a-1": np.array([1.0]), "a-2": np.array([3.0])}, {"a-1": "a", "a-2": "a"})
    {'a': array([2.])}
    """
    rows: dict[str, list[np.ndarray]] = {}
    for utterance in sorted(means):
        rows.setdefault(speaker_of[utterance], []).append(np.asarray(means[utterance], np.float64))
    return {speaker: np.mean(rows[speaker], axis=0) for speaker in sorted(rows)}


def mixtures_for(
    speakers: Iterable[str],
    trained: Mapping[str, np.ndarray],
    unseen: Mapping[str, np.ndarray],
    rule: Rule,
    k: int = 5,
) -> dict[str, dict[str, float]]:
    """Of which training speakers each speaker is made: a training speaker of himself.

    Args:
        speakers: whom to make.
        trained: training speaker -> vector ``(D,)``.
        unseen: new speaker -> vector; needed for ``nearest`` and ``knn``.
        rule: for new speakers.
        k: neighbours of ``knn``.

    Raises:
        UserError: for k out of range.
    """
    names, wanted = sorted(trained), list(speakers)
    count = 1 if rule == "nearest" else k
    new = [speaker for speaker in wanted if speaker not in trained]
    mixtures: dict[str, dict[str, float]] = {
        speaker: {speaker: 1.0} for speaker in wanted if speaker in trained
    }
    if rule == "zero":
        return mixtures | {speaker: {} for speaker in new}
    if rule == "mean":
        return mixtures | {speaker: dict.fromkeys(names, 1 / len(names)) for speaker in new}
    if not 1 <= count <= len(names):
        raise UserError(f"the encoder has {len(names)} training speakers", value=f"k = {count}")
    if new:
        found = nearest(_stack(unseen, new), _stack(trained, names), count)
        for speaker, row in zip(new, found.index, strict=True):
            mixtures[speaker] = {names[index]: 1 / count for index in row}
    return mixtures


def assign(data: DataDir, upstream: Upstream, rule: Rule, k: int = 5) -> dict[str, dict[str, float]]:
    """Mixtures of all speakers of a data directory.

    Args:
        data: whose speakers; audio of new ones is encoded for ``nearest`` and ``knn``.
        upstream: the personalised encoder.
        rule: for new speakers.
        k: neighbours of ``knn``.

    Raises:
        UserError: the upstream is not personalised, or as :func:`mixtures_for`.
    """
    if not isinstance(upstream, PaptUpstream) or upstream.encoder.speaker is None:
        raise UserError("this upstream has no speakers", value=upstream.info.name,
                        hint="Give papt:<folder> of an encoder whose fusion is not none")  # fmt: skip
    stored = ArkReader(upstream.folder / VECTORS)
    trained = dict(zip(upstream.speakers, stored.load(upstream.speakers), strict=True))
    seconds = {
        utterance: duration
        for utterance, duration in data.durations().items()
        if data.utt2spk[utterance] not in trained
    }
    unseen: dict[str, np.ndarray] = {}
    if seconds and rule in ("nearest", "knn"):
        reader = AudioReader(data, upstream.info.sample_rate)
        means = utterance_means(upstream, seconds, reader.read, f"speakers {data.path.name}")
        unseen = speaker_vectors(means, data.utt2spk)
    return mixtures_for(data.spk2utt, trained, unseen, rule, k)


def _stack(vectors: Mapping[str, np.ndarray], names: Sequence[str]) -> np.ndarray:
    """Vectors as ``(S, D)``."""
    return np.stack([vectors[name] for name in names])
