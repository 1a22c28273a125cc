"""Cost of extraction against hours of audio, as a recipe runs it: time is to be linear, memory flat.

    python benchmarks/hours.py --hours 1 3 10 30 100 --nj 2

Turns as long as IEMOCAP's, 800 an hour, are cut out of ten minutes of noise, so that 100 hours take no room.
The encoder is a random HuBERT of no size, for which reading, batches, pooling and writing are most of the
work; ``--upstream`` takes any other. A job's peak memory is that of its process, libraries counted in. Below
the table stand the slope of log time over log hours (1 is linear), and what a thousand turns more add to the
peak: ids, durations and the plan, which are all that is kept of a corpus.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from extraction import extract
from s3prl_sides import MEAN_SECONDS, RATE, SHAPES, turn_seconds, write_model

from ser.core.columns import align
from ser.data.datadir import DataDir, Segment
from ser.data.labels import LabelSchema

RECORDING_SECONDS, SPEAKERS = 600.0, 10


def write_turns(folder: Path, hours: float) -> DataDir:
    """A data directory of about so many hours: turns side by side in one recording, again and again."""
    folder.mkdir(parents=True)
    wav = str(folder / "noise.wav")
    noise = np.random.default_rng(0).normal(0, 0.1, round(RECORDING_SECONDS * RATE))
    soundfile.write(wav, noise, RATE)
    segments, utt2spk, end = {}, {}, 0.0
    for number, seconds in enumerate(turn_seconds(round(hours * 3600 / MEAN_SECONDS)).tolist()):
        start = end if end + seconds <= RECORDING_SECONDS else 0.0
        end = start + seconds
        speaker = f"s{number % SPEAKERS}"
        name = f"{speaker}-{number:06d}"
        segments[name], utt2spk[name] = Segment("noise", start, end), speaker
    tables = {"utt2spk": utt2spk}
    recordings = {"wav.scp": {"noise": wav}}
    DataDir(folder / "data", LabelSchema("noise"), tables, recordings, segments=segments).write(
        folder / "data"
    )
    return DataDir.load(folder / "data")


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Of the line through the points ``(x, y)`` by least squares."""
    return float(np.polyfit(x, y, 1)[0])


def main(argv: Sequence[str] | None = None) -> None:
    """Print a line for every number of hours."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=float, nargs="+", default=[1, 3, 10, 30])
    parser.add_argument("--upstream", help="name of an upstream, in place of the random HuBERT")
    parser.add_argument("--shape", choices=list(SHAPES), default="tiny", help="of the random HuBERT")
    parser.add_argument("--nj", type=int, default=1, help="number of jobs")
    options = parser.parse_args(argv)
    rows = [["hours", "turns", "wall s", "s an hour", "times real time", "peak MB a job"]]
    points = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        upstream = options.upstream or f"hf:{write_model(folder / 'model', options.shape)}"
        for number, hours in enumerate(options.hours):
            data = write_turns(folder / str(number), hours)
            timing, peak = extract(data.path, upstream, options.nj, [])
            audio, wall, turns = timing["audio_seconds"], timing["wall_seconds"], len(data.utterances)
            rows.append([
                f"{audio / 3600:.2f}", str(turns), f"{wall:.1f}", f"{wall / audio * 3600:.2f}",
                f"{timing['times_real_time']:.0f}", f"{peak:.0f}",
            ])  # fmt: skip
            points.append((np.log(audio), np.log(wall), turns / 1000, peak))
    print(f"{upstream if options.upstream else f'HuBERT {options.shape}'}, {options.nj} jobs,"
          f" load {os.getloadavg()[0]:.1f}")  # fmt: skip
    print("\n".join(align(rows, right=range(6))))
    if len(points) > 1:
        audio, wall, thousands, peaks = zip(*points, strict=True)
        print(f"log time over log hours: {slope(audio, wall):.3f}")
        print(f"a thousand turns more add {slope(thousands, peaks):.2f} MB")


if __name__ == "__main__":
    main()
