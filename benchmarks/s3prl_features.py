"""Features by this project against S3PRL's own pipeline, side by side: speed, and whose numbers are right.

    python benchmarks/s3prl_features.py --shape base
    python benchmarks/s3prl_features.py --shape large --utterances 32 --repeat 2
    python benchmarks/s3prl_features.py --shape base --device cuda --utterances 512 --batch-seconds 200

A random HuBERT, the same weights on both sides, hears noise in turns as long as IEMOCAP's: about
``--utterances`` of its 5,531, in whole batches of ours (``turns_in_batches``). S3PRL has the audio in memory,
takes it as it comes (one by one, or in padded batches of 4, which is its emotion recipe, and of 8), and keeps
the means of all layers in memory. Ours reads the audio from files, and writes means and deviations of all
layers into arks: what ``ser extract`` does. On a CPU it also runs as recipes run it, in a job of one thread
for each core. ``--entry hf_hubert_custom`` is S3PRL's wrapper of transformers in place of its own HuBERT.

Every side is a process of its own that has loaded before the clock starts. Rows take turns, ``--repeat``
times, after an unmeasured turn on the first eight utterances. Told are the median, and the median over turns
of the ratio to other rows of the same turn, which a machine that others use disturbs less. A difference is
the largest ``|x - r| / |r|`` over utterances and layers of ``--compare`` utterances, valid frames only: r is
the same side's utterance alone.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from s3prl_sides import (
    ENTRIES,
    SHAPES,
    Ours,
    Theirs,
    largest_difference,
    states_of,
    turns_in_batches,
    write_audio,
    write_model,
)
from torch import Tensor

from ser.core import log
from ser.core.columns import align
from ser.core.environment import available_cores
from ser.core.files import write_json
from ser.data.datadir import DataDir
from ser.features.memory import reuse_memory
from ser.features.plan import BATCH_SECONDS
from ser.upstream import load_upstream

SIZES = (1, 4, 8)
WARM_UP = 8


class Worker:
    """A process that has loaded one side, and does what it is told."""

    def __init__(self, target: Callable[..., None], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=target, args=(theirs, *arguments), daemon=True)
        self.process.start()
        theirs.close()

    def start(self, *order: Any) -> None:
        """Give an order."""
        self.pipe.send(order)

    def wait(self) -> None:
        """Wait until the last order is done, or the side is loaded.

        Raises:
            SystemExit: the process died; it has said why.
        """
        try:
            self.pipe.recv()
        except EOFError:
            raise SystemExit("a side of the comparison failed") from None


def serve(pipe: Connection, orders: Callable[..., None]) -> None:
    """A worker's life: say that it is ready, and obey until the pipe closes."""
    pipe.send(None)
    while True:
        try:
            order = pipe.recv()
        except EOFError:
            return
        orders(*order)
        pipe.send(None)


def serve_theirs(pipe: Connection, folder: Path, options: argparse.Namespace) -> None:
    """S3PRL's process; an order is the size of batches, and how many utterances."""
    torch.set_num_threads(options.threads)
    side = Theirs(folder / "model", options.entry, DataDir.load(folder / "audio/data"), options.device)
    serve(pipe, side.run)


def serve_ours(pipe: Connection, folder: Path, options: argparse.Namespace) -> None:
    """A process of ours; an order: folder of the arks, number of jobs, which this is, number of utterances.

    Job 0 puts the others' arks together.
    """
    reuse_memory()
    log.setup(logging.WARNING)
    data = DataDir.load(folder / "audio/data")
    side = Ours(folder / "model", options.device, options.batch_seconds)

    def obey(feats: Path, jobs: int, job: int, count: int | None) -> None:
        torch.set_num_threads(max(1, options.threads // jobs))
        part = data.subset(data.utterances[:count])
        if job:
            side.run(part, feats, jobs, job)
        else:
            side.combine(part, feats)

    serve(pipe, obey)


def measure(folder: Path, options: argparse.Namespace) -> dict[str, list[float]]:
    """Row -> seconds of each turn, the unmeasured first one left out."""
    jobs = [1, options.threads] if options.device == "cpu" and options.threads > 1 else [1]
    theirs = Worker(serve_theirs, folder, options)
    ours = [Worker(serve_ours, folder, options) for _ in range(max(jobs))]
    for worker in (theirs, *ours):
        worker.wait()
    seconds: dict[str, list[float]] = {}
    for turn in range(options.repeat + 1):
        count = None if turn else WARM_UP
        rows: dict[str, Callable[[], None]] = {
            name_of(size): partial(run_theirs, theirs, size, count) for size in SIZES
        }
        for number in jobs:
            name = "ours" if number == 1 else f"ours, {number} jobs"
            rows[name] = partial(run_ours, ours[:number], folder / f"feats{turn}-{number}", count)
        for name, run in rows.items():
            start = time.perf_counter()
            run()
            if turn:
                seconds.setdefault(name, []).append(time.perf_counter() - start)
    return seconds


def name_of(size: int) -> str:
    """A row of S3PRL's."""
    return "S3PRL, one by one" if size == 1 else f"S3PRL, batches of {size}"


def run_theirs(worker: Worker, size: int, count: int | None) -> None:
    """S3PRL's features in batches of ``size``."""
    worker.start(size, count)
    worker.wait()


def run_ours(workers: Sequence[Worker], feats: Path, count: int | None) -> None:
    """Our features, by so many jobs at once."""
    for job, worker in enumerate(workers, start=1):
        worker.start(feats, len(workers), job, count)
    for worker in workers:
        worker.wait()
    workers[0].start(feats, len(workers), 0, count)
    workers[0].wait()


def differences(folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """How far frames are from those of the utterance alone, on either side, and one side from the other."""
    data = DataDir.load(folder / "audio/data")
    upstream = load_upstream(f"hf:{folder / 'model'}", options.device)
    theirs = Theirs(folder / "model", options.entry, data, options.device)
    waves = theirs.waves[: options.compare]
    alone = [states_of(upstream, [wave])[0] for wave in waves]
    frames = [len(layers[0]) for layers in alone]  # S3PRLUpstream says two more, which are the last repeated

    def in_batches(size: int) -> list[list[Tensor]]:
        found = []
        for start in range(0, len(waves), size):
            layers, _ = theirs.states(waves[start : start + size])
            rows = range(min(size, len(waves) - start))
            found += [[layer[row, : frames[start + row]].cpu() for layer in layers] for row in rows]
        return found

    reference = in_batches(1)
    return {
        name_of(1): 0.0,
        **{name_of(size): largest_difference(in_batches(size), reference) for size in SIZES[1:]},
        "ours": largest_difference(states_of(upstream, waves), alone),
        "between the two, one by one": largest_difference(alone, reference),
    }


def table(seconds: dict[str, list[float]], differs: dict[str, float], audio: float) -> list[str]:
    """A line a row: speed, against the recipe's batches and one by one, and how far from right."""
    rows = [["row", "s", "times real time", "times batches of 4", "times one by one", "difference"]]
    recipe, single = np.array(seconds[name_of(4)]), np.array(seconds[name_of(1)])
    for name, found in seconds.items():
        middle = float(np.median(found))
        far = differs[name.split(", ")[0] if name.startswith("ours") else name]
        rows.append([
            name, f"{middle:.1f}", f"{audio / middle:.1f}", f"{np.median(recipe / found):.2f}",
            f"{np.median(single / found):.2f}", f"{far:.1e}",
        ])  # fmt: skip
    return align(rows, right=range(1, 6))


def parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=list(SHAPES), default="base")
    parser.add_argument("--entry", choices=ENTRIES, default=ENTRIES[0], help="what S3PRL loads")
    parser.add_argument("--utterances", type=int, default=48)
    parser.add_argument("--repeat", type=int, default=3, help="measured turns of every row")
    parser.add_argument("--compare", type=int, default=8, help="utterances whose frames are compared")
    parser.add_argument("--batch-seconds", type=float, default=BATCH_SECONDS, help="audio in a batch of ours")
    parser.add_argument("--threads", type=int, default=available_cores())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path, help="write what was found here as well")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    options = parser().parse_args(argv)
    # Each side takes its threads as it starts; a job of ours has one of them.
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    lengths = turns_in_batches(options.utterances, options.batch_seconds)
    where = f"CPU, {options.threads} threads" if options.device == "cpu" else torch.cuda.get_device_name()
    print(
        f"HuBERT {options.shape} ({options.entry}), {len(lengths)} turns, {lengths.sum():.0f} s,"
        f" {where}, load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_model(folder / "model", options.shape)
        write_audio(folder / "audio", lengths)
        differs = differences(folder, options)
        seconds = measure(folder, options)
    print("\n".join(table(seconds, differs, lengths.sum())))
    apart = differs["between the two, one by one"]
    print(f"one by one, the two sides differ by {apart:.1e}; load {os.getloadavg()[0]:.1f}")
    if options.json:
        found = {
            "options": {k: str(v) for k, v in vars(options).items()},
            "audio_seconds": float(lengths.sum()),
        }
        write_json(options.json, found | {"seconds": seconds, "differences": differs})


if __name__ == "__main__":
    main()
