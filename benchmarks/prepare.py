"""Time and peak memory of ``ser prepare msp_podcast`` on a tree of the size of release 1.11.

    python benchmarks/prepare.py --nj 2 --times 3

The tree is made up: sparse silent wavs with right headers, transcripts, and the release's label files in
its layout (consensus and votes, each as csv, json and raw text), 151,654 clips with six votes each.
"""

from __future__ import annotations

import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from ser.corpora.msp_podcast.releases import RELEASES
from tests.fixtures.msp_podcast import EMOTIONS, SENTENCES, Clip, texts

RELEASE = "1.11"
NAMES = {"train": "Train", "validation": "Development", "test1": "Test1", "test2": "Test2", "test3": "Test3"}
SPEAKERS = {"train": 1409, "validation": 454, "test1": 237, "test2": 117, "test3": 187}
RATE, SECONDS, VOTES = 16000, 5.6, 6


def silent_wav(path: Path, seconds: float) -> None:
    """A wav whose samples are a hole in the file: it takes no room."""
    size = 2 * int(RATE * seconds)
    form = (b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16)  # PCM, mono, 16 bits
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + size, b"WAVE", *form, b"data", size)
    with open(path, "wb") as stream:
        stream.write(head)
        stream.truncate(len(head) + size)


def made_up(share: float) -> list[Clip]:
    """Clips by set and speaker as in the release; one in five of train has no speaker."""
    clips, letters = [], list(EMOTIONS)
    for name, count in RELEASES[RELEASE].items():
        first = 1 + sum(SPEAKERS[other] for other in list(SPEAKERS)[: list(SPEAKERS).index(name)])
        for number in range(int(count * share)):
            letter = letters[number % len(letters)]
            speaker = "" if name == "train" and number % 5 == 0 else str(first + number % SPEAKERS[name])
            serial = len(clips)
            file = f"MSP-PODCAST_{serial // 40 + 1:04d}_{serial % 40 * 7:04d}.wav"
            file = f"MSP-PODCAST_test3_{number:04d}.wav" if name == "test3" else file
            vote = EMOTIONS[letter][1] or "Other-confused"
            votes = [(vote, 1 + (number + place) % 7, 1 + number % 7, 4) for place in range(VOTES)]
            text = SENTENCES[number % len(SENTENCES)]
            clips.append(Clip(file, NAMES[name], speaker, letter, text, speaker, votes))
    return clips


def build(root: Path, share: float) -> int:
    """Write the tree; return the number of clips."""
    clips = made_up(share)
    for folder in ("Audios", "Transcripts", "Labels"):
        (root / folder).mkdir()
    for number, clip in enumerate(clips):
        silent_wav(root / "Audios" / clip.name, SECONDS + number % 10 / 10)
    for path, text in texts(clips, RELEASE).items():
        (root / path).write_text(text)
    return len(clips)


def prepare(root: Path, out: Path, jobs: int, options: list[str]) -> dict[str, float]:
    """Run the command; seconds of wall clock and of computing, and its largest process's memory in MB."""
    command = [sys.executable, "-m", "ser.cli", "prepare", "msp_podcast", "--db-root", str(root)]
    began = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--out", str(out), "--nj", str(jobs), *options], stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    said = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(said)
    wall = round(time.perf_counter() - began, 1)
    busy = round(usage.ru_utime + usage.ru_stime, 1)
    return {"wall seconds": wall, "cpu seconds": busy, "peak MB": round(usage.ru_maxrss / 1024)}


def main() -> None:
    """Print a line for every run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--share", type=float, default=1.0, help="of the release's clips")
    parser.add_argument("--nj", type=int, default=2, help="processes that read headers")
    parser.add_argument("--times", type=int, default=3, help="how often it is measured")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "corpus"
        root.mkdir()
        began = time.perf_counter()
        count = build(root, arguments.share)
        options = [] if arguments.share == 1 else ["--release", RELEASE, "--allow-partial"]
        print(f"a tree of {count} clips, made in {time.perf_counter() - began:.0f} s", file=sys.stderr)
        for _ in range(arguments.times):
            load = os.getloadavg()[0]
            measured = prepare(root, Path(folder) / "data", arguments.nj, options)
            result = {
                "clips": count,
                "nj": arguments.nj,
                "cores": os.cpu_count(),
                "load before": round(load, 1),
            }
            print(json.dumps(result | measured), flush=True)


if __name__ == "__main__":
    main()
