"""Where features lie on disk while they are made, and how they are put together.

    feats/<tag>/<set>/
        pooled_mean.scp, pooled_std.scp    matrices (layers, dim)
        frames_layer<k>.scp                matrices (frames, dim), when asked for
        meta.yaml                          what made them; written last
        timing.json, broken.txt            how fast; what was left out
        shards-<fingerprint>/0007.pooled_mean.ark, ..., 0007.json    a shard; its json is written last

The fingerprint is that of the upstream, the settings and the audio: another one, another folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ser.core.errors import UserError
from ser.core.files import read_json, remove_leftovers, write_json, write_text, write_yaml
from ser.data.arks import ArkWriter, combine_scps

POOLED = ("pooled_mean", "pooled_std")


@dataclass
class ShardReport:
    """What is known of a finished shard.

    Args:
        utterances: how many are in its arks.
        audio_seconds: of the audio that was read.
        wall_seconds: that it took.
        job, jobs, threads: which job did it, of how many, with how many threads.
        broken: utterance -> why it was left out.
    """

    utterances: int = 0
    audio_seconds: float = 0.0
    wall_seconds: float = 0.0
    job: int = 1
    jobs: int = 1
    threads: int = 1
    broken: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FeatureStore:
    """The folder of one upstream and one data directory.

    Args:
        folder: ``feats/<tag>/<set>``.
        fingerprint: hash of everything that decides the features.
        frames_layers: layers whose frames are kept.
    """

    folder: Path
    fingerprint: str
    frames_layers: tuple[int, ...] = ()

    @property
    def shards(self) -> Path:
        """The folder of the shards."""
        return self.folder / f"shards-{self.fingerprint[:12]}"

    @property
    def names(self) -> tuple[str, ...]:
        """The tables to write."""
        return (*POOLED, *(f"frames_layer{layer}" for layer in self.frames_layers))

    def is_done(self, index: int) -> bool:
        """Whether shard ``index`` is complete."""
        return self._report(index).is_file()

    def report(self, index: int) -> ShardReport:
        """What is known of finished shard ``index``."""
        return ShardReport(**read_json(self._report(index)))

    @contextlib.contextmanager
    def write_shard(self, index: int) -> Iterator[ShardWriter]:
        """Write a shard, whole or not at all; the caller fills in ``writer.report``, time aside."""
        self.shards.mkdir(parents=True, exist_ok=True)
        start = time.monotonic()
        with contextlib.ExitStack() as stack:
            writer = ShardWriter(self._stem(index), self.names, stack)
            yield writer
        writer.report.wall_seconds = time.monotonic() - start
        write_json(self._report(index), asdict(writer.report))

    def combine(self, indices: range, meta: dict[str, Any], skip_broken: bool) -> dict[str, Any]:
        """Put the shards together: tables in C order, meta.yaml, timing.json, broken.txt.

        Args:
            indices: of all the shards of the plan.
            meta: content of meta.yaml; ``utterances`` is added.
            skip_broken: whether broken audio may be left out.

        Returns:
            The content of timing.json.

        Raises:
            UserError: a shard is missing, or audio is broken and must not be left out.
        """
        missing = [index for index in indices if not self.is_done(index)]
        if missing:
            raise UserError(
                f"{len(missing)} of {len(indices)} shards have not been extracted",
                file=self.shards,
                hint="Run the missing jobs: 'ser extract' with the same --nj and --job, or without --job",
            )
        reports = [self.report(index) for index in indices]
        broken = {utterance: why for report in reports for utterance, why in report.broken.items()}
        if broken and not skip_broken:
            raise broken_audio(broken, self.folder)
        if not sum(report.utterances for report in reports):
            raise UserError("no utterance is left: all audio is broken", file=self.folder)

        # Without meta.yaml the folder counts as unfinished, should this process die half way.
        (self.folder / "meta.yaml").unlink(missing_ok=True)
        for stale in self.folder.glob("frames_layer*.scp"):
            stale.unlink()
        (self.folder / "broken.txt").unlink(missing_ok=True)
        for name in self.names:
            scps = [f"{self._stem(index)}.{name}.scp" for index in indices if self.report(index).utterances]
            count = combine_scps(scps, self.folder / f"{name}.scp")
        if broken:
            lines = (f"{utterance} {broken[utterance]}\n" for utterance in sorted(broken))
            write_text(self.folder / "broken.txt", "".join(lines))
        timing = summarise(reports)
        write_json(self.folder / "timing.json", timing)
        write_yaml(self.folder / "meta.yaml", {**meta, "utterances": count})
        self._remove_others()
        return timing

    def _remove_others(self) -> None:
        """Delete shards of other fingerprints, and what killed writers left."""
        for other in self.folder.glob("shards-*"):
            if other != self.shards:
                shutil.rmtree(other)
        for folder in (self.folder, self.shards):
            remove_leftovers(folder)

    def _stem(self, index: int) -> Path:
        """Path of a shard's files without the table's name."""
        return self.shards / f"{index:04d}"

    def _report(self, index: int) -> Path:
        """The file that says a shard is complete."""
        return self.shards / f"{index:04d}.json"


class ShardWriter:
    """The open arks of a shard; they are made with the first utterance."""

    def __init__(self, stem: Path, names: tuple[str, ...], stack: contextlib.ExitStack) -> None:
        self.report = ShardReport()
        self._stem, self._names, self._stack = stem, names, stack
        self._arks: dict[str, ArkWriter] = {}

    def write(self, utterance: str, arrays: dict[str, np.ndarray]) -> None:
        """Append an utterance to every table."""
        if not self._arks:
            for name in self._names:
                self._arks[name] = self._stack.enter_context(ArkWriter(f"{self._stem}.{name}"))
        for name in self._names:
            self._arks[name].write(utterance, arrays[name])
        self.report.utterances += 1


def summarise(reports: list[ShardReport]) -> dict[str, Any]:
    """Speed of the whole: jobs run side by side, so the slowest of them counts.

    When parts were done with another number of jobs, those parts are added up.
    """
    walls: dict[tuple[int, int], float] = defaultdict(float)
    for report in reports:
        walls[report.jobs, report.job] += report.wall_seconds
    layouts = {jobs for jobs, _ in walls}
    wall = sum(max(wall for (n, _), wall in walls.items() if n == jobs) for jobs in layouts)
    audio = sum(report.audio_seconds for report in reports)
    return {
        "audio_seconds": round(audio, 3),
        "wall_seconds": round(wall, 3),
        "times_real_time": round(audio / max(wall, 1e-9), 2),
        "jobs": max(layouts),
        "threads": max(report.threads for report in reports),
    }


def fingerprint(facts: dict[str, Any]) -> str:
    """SHA-256 of plain values, whatever the order of their names."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def audio_fingerprint(entries: dict[str, str]) -> str:
    """SHA-256 of wav.scp with the size and time of each file, so that changed audio is noticed."""
    digest = hashlib.sha256()
    for key, entry in entries.items():
        try:
            status = os.stat(entry)
            stamp = f"{status.st_size} {status.st_mtime_ns}"
        except OSError:
            stamp = "none"
        digest.update(f"{key} {entry} {stamp}\n".encode())
    return digest.hexdigest()


def broken_audio(broken: dict[str, str], where: Path, total: int | None = None) -> UserError:
    """The error that names and counts broken audio."""
    first = sorted(broken)[:5]
    more = f" and {len(broken) - len(first)} more" if len(broken) > len(first) else ""
    of = "" if total is None else f" of {total}"
    named = "; ".join(broken[utterance].rstrip(".") for utterance in first)
    return UserError(
        f"{len(broken)}{of} utterances cannot be used: {named}{more}",
        file=where,
        hint="Mend or remove them, or leave them out with --skip-broken",
    )
