"""Frames of one layer of an upstream, as ``ser extract --frames-layers`` keeps them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from ser.core.errors import UserError
from ser.core.files import read_yaml, sha256
from ser.data.arks import ArkReader
from ser.data.datadir import DataDir
from ser.data.wording import counted


@dataclass(frozen=True)
class FrameSource:
    """Whose frames they are.

    Args:
        upstream: the name that the upstream was loaded by.
        tag: its short name.
        family: as ``UpstreamInfo``.
        checkpoint: SHA-256 of its weights, or None.
        sample_rate: in Hz.
        frame_rate: in Hz.
        context: as ``UpstreamInfo``.
        layer: the layer's number.
        dim: D.
    """

    upstream: str
    tag: str
    family: str
    checkpoint: str | None
    sample_rate: int
    frame_rate: float
    context: str
    layer: int
    dim: int

    def check_same(self, other: FrameSource, where: Path) -> None:
        """Refuse frames that are not of this source.

        Weights are known by their hash, wherever they lie; upstreams without weights by their tag.

        Args:
            other: the other source.
            where: the file that tells of it.

        Raises:
            UserError: naming what differs.
        """
        ours, theirs = asdict(self), asdict(other)
        by_name = self.checkpoint is None
        for name in ("tag", "checkpoint", "family", "sample_rate", "frame_rate", "context", "layer", "dim"):
            if (name != "tag" or by_name) and ours[name] != theirs[name]:
                raise UserError(
                    f"frames of another {name} than the centroids': {theirs[name]}, not {ours[name]}",
                    file=where, hint=f"The centroids are of layer {self.layer} of {self.upstream}",
                )  # fmt: skip


class FrameSet:
    """The frames of one data directory.

    Args:
        data: the data directory.
        feats: its features, ``feats/<tag>/<set>``.
        layer: the layer.

    Attributes:
        name: of the set.
        source: whose frames they are.
        utterances: ids, in C order.

    Raises:
        UserError: the features or the layer's frames are not there, or not of every utterance.
    """

    def __init__(self, data: Path, feats: Path, layer: int) -> None:
        self.data, self.feats = Path(data), Path(feats)
        self.name = self.data.resolve().name
        self.utterances = DataDir.load(data).utterances
        self.meta_path = self.feats / "meta.yaml"
        self.scp = self.feats / f"frames_layer{layer}.scp"
        extract = f"Run 'ser extract {data} {feats} --upstream <its upstream> --frames-layers {layer}'"
        if not self.meta_path.is_file():
            raise UserError("no such features", file=self.meta_path, hint=extract)
        self.source = _source(self.meta_path, layer)
        if not self.scp.is_file():
            raise UserError(f"no frames of layer {layer}", file=self.scp, hint=extract)
        self.reader = ArkReader(self.scp)
        if lacking := [name for name in self.utterances if name not in self.reader]:
            raise UserError(
                f"{counted(len(lacking), 'utterance')} of {data} without frames, the first",
                file=self.scp, value=lacking[0], hint=extract,
            )  # fmt: skip

    def __iter__(self) -> Iterator[tuple[str, np.ndarray]]:
        """Utterances and their frames ``(F, D)`` float32, read one by one.

        Raises:
            UserError: frames of another width, or that are not finite.
        """
        for utterance in self.utterances:
            frames = self.reader[utterance]
            if frames.ndim != 2 or frames.shape[1] != self.source.dim or frames.dtype != np.float32:
                raise UserError(
                    f"{utterance!r} has no frames of width {self.source.dim}",
                    file=self.scp,
                    value=frames.shape,
                )
            if not np.isfinite(frames).all():
                where = int(np.flatnonzero(~np.isfinite(frames).all(1))[0])
                raise UserError(
                    f"frame {where} of {utterance!r} is not finite", file=self.scp,
                    hint="Look at its audio, and extract it again",
                )  # fmt: skip
            yield utterance, frames

    def fingerprint(self) -> dict[str, str]:
        """Hashes of what the frames are known by; the scp names shards by a hash of their making."""
        return {"meta": sha256(self.meta_path), "scp": sha256(self.scp)}


def load_sets(data: Sequence[Path], feats: Sequence[Path], layer: int) -> list[FrameSet]:
    """The frames of data directories, all of one upstream.

    Args:
        data: data directories.
        feats: their features, in the same order.
        layer: the layer.

    Raises:
        UserError: as ``FrameSet``; numbers that differ, two sets of one name, or two upstreams.
    """
    if len(data) != len(feats) or not data:
        raise UserError(
            f"{len(data)} data directories and {counted(len(feats), 'folder')} of features",
            hint="Give --feats one folder a data directory, in the same order",
        )
    sets = [FrameSet(directory, folder, layer) for directory, folder in zip(data, feats, strict=True)]
    for number, each in enumerate(sets):
        sets[0].source.check_same(each.source, each.meta_path)
        if each.name in [other.name for other in sets[:number]]:
            raise UserError("two sets of one name", value=each.name, hint="Rename the data directory")
    return sets


def _source(meta_path: Path, layer: int) -> FrameSource:
    """The source that a features' meta.yaml tells of."""
    meta: Any = read_yaml(meta_path)
    try:
        facts = {field.name: meta[field.name] for field in fields(FrameSource) if field.name != "layer"}
    except (KeyError, TypeError):
        raise UserError("not what 'ser extract' writes", file=meta_path, hint="Extract again") from None
    if facts["frame_rate"] == 0:
        raise UserError(f"{facts['tag']} has one vector an utterance, and no frames", file=meta_path)
    if not 0 <= layer < meta["layers"]:
        raise UserError(f"{facts['tag']} has layers 0 to {meta['layers'] - 1}", file=meta_path, value=layer)
    return FrameSource(**facts, layer=layer)
