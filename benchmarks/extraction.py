"""Speed and peak memory of extraction, as a recipe runs it: ``ser extract`` in so many jobs.

    python benchmarks/extraction.py data/all --upstream hf:models/whisper-base-encoder --nj 2
    python benchmarks/extraction.py data/all --upstream hf:models/whisper-base-encoder --times 1 2 4

``--times 4`` gives every utterance four times, to show that memory does not grow with the corpus.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from ser.core.files import read_json
from ser.data.datadir import DataDir, Segment


def repeated(data: DataDir, times: int) -> DataDir:
    """The directory with every utterance ``times`` times, as segments of the same recordings."""
    segments, utt2spk, seconds = {}, {}, data.durations()
    for utterance in data.utterances:
        for copy in range(times):
            name = f"{utterance}-{copy}"
            whole = Segment(utterance, 0.0, seconds[utterance])
            segments[name] = whole if data.segments is None else data.segments[utterance]
            utt2spk[name] = data.utt2spk[utterance]
    return replace(data, tables={"utt2spk": utt2spk}, speakers={}, segments=segments)


def extract(data: Path, upstream: str, jobs: int, options: list[str]) -> tuple[dict, float]:
    """Run the jobs side by side, with their share of the cores each.

    Returns:
        the content of timing.json, and the peak memory of the largest job in MB.
    """
    with tempfile.TemporaryDirectory() as folder:
        feats = str(Path(folder) / "feats")
        command = [sys.executable, "-m", "ser.cli", "extract", str(data), feats, "--upstream", upstream]
        command += ["--nj", str(jobs), *options]
        environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
        started = [
            subprocess.Popen([*command, "--job", str(job)], env=environment, stderr=subprocess.DEVNULL)
            for job in range(1, jobs + 1)
        ]
        peak = 0
        for process in started:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                sys.exit(f"a job failed; run it to see why: {' '.join(command)} --job 1")
            peak = max(peak, usage.ru_maxrss)
        subprocess.run([*command, "--combine"], check=True, stderr=subprocess.DEVNULL)
        return read_json(Path(feats) / "timing.json"), peak / 1024


def main() -> None:
    """Print a line for every ``--times``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", help="data directory")
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--nj", type=int, default=1, help="number of jobs")
    parser.add_argument("--times", type=int, nargs="+", default=[1], help="how often each utterance is given")
    parser.add_argument("options", nargs="*", help="further options of ser extract, after --")
    arguments = parser.parse_args()

    data = DataDir.load(arguments.data)
    print("utterances  audio s  wall s  times real time  peak MB a job  jobs x threads")
    for times in arguments.times:
        with tempfile.TemporaryDirectory() as folder:
            larger = Path(folder) / "data"
            repeated(data, times).write(larger)
            timing, peak = extract(larger, arguments.upstream, arguments.nj, arguments.options)
        count = len(data.utterances) * times
        print(
            f"{count:10d}  {timing['audio_seconds']:7.0f}  {timing['wall_seconds']:6.1f}"
            f"  {timing['times_real_time']:15.1f}  {peak:13.0f}  {timing['jobs']} x {timing['threads']}",
            flush=True,
        )


if __name__ == "__main__":
    main()
