"""SUPERB's five folds on IEMOCAP's size: seconds of S3PRL's way, and of features that are extracted once.

    python benchmarks/s3prl_superb.py --shape base
    python benchmarks/s3prl_superb.py --shape large --device cuda

S3PRL runs the frozen encoder in every step: 30,000 of 8 batches of 4 in each fold. ``--steps`` of them are
measured and the rest is that many times as much; its 30 validations a fold are left out, and so is reading:
both in its favour. Ours extracts 5,531 turns once, of which ``--utterances`` in whole batches are measured
and the rest is as much for each second of audio, and trains the five folds by
``egs/iemocap/ser1/conf/superb.yaml``, all 30,000 steps of them with their validations, in a job for each
core. It trains on features that are made up, since time does not depend on their values. A sweep over ten
learning rates is ten times everything on S3PRL's side, on ours ten times the training (``--sweep`` trains
them all instead). Accuracy: ``s3prl_superb_accuracy.py``.

S3PRL's model is S3PRL's code. Its trainer (``s3prl.problem``) wants packages that nothing else here does, so
its step, six lines of ``problem/base.py``, is written out in ``S3prlTrainer``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from extraction import extract
from s3prl_sides import (
    ENTRIES,
    MEAN_SECONDS,
    SESSIONS,
    SHAPES,
    TURNS,
    load_theirs,
    turn_seconds,
    turns_in_batches,
    write_audio,
    write_model,
)
from s3prl_sides import RATE as SAMPLE_RATE
from torch import Tensor, nn

from ser.core.columns import align
from ser.core.environment import available_cores
from ser.core.files import write_json
from ser.core.log import clock
from ser.data.datadir import DataDir
from ser.data.labels import LabelSchema
from ser.features.plan import BATCH_SECONDS
from ser.features.store import FeatureStore

CONFIG = Path(__file__).resolve().parent.parent / "egs/iemocap/ser1/conf/superb.yaml"
# s3prl/problem/common/superb_er.py, default_config.
BATCH, ACCUMULATE, STEPS, RATE, CLIPPING, HIDDEN = 4, 8, 30_000, 1e-4, 1.0, 256
# IEMOCAP's turns of every class.
CLASSES = {"neutral": 1708, "happiness": 1636, "anger": 1103, "sadness": 1084}
FOLDS = len(SESSIONS)
# Learning rates of the sweep.
RATES = (0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01)


class S3prlTrainer:
    """SUPERB's model for emotion as S3PRL builds it, and a step of its trainer.

    Args:
        upstream: ``S3PRLUpstream``, or what stands in for it; frozen.
        classes: number of classes.
        device: where it runs.
    """

    def __init__(self, upstream: nn.Module, classes: int, device: str = "cpu") -> None:
        from s3prl.nn.linear import MeanPoolingLinear
        from s3prl.nn.upstream import Featurizer, UpstreamDownstreamModel

        featurizer = Featurizer(upstream)
        head = MeanPoolingLinear(featurizer.output_size, classes, hidden_size=HIDDEN)
        self.model, self.device = UpstreamDownstreamModel(upstream, featurizer, head).to(device), device
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=RATE)

    def step(self, batches: Sequence[tuple[Sequence[Tensor], Tensor]]) -> None:
        """One step of the optimiser on batches of inputs ``(T_i, ...)`` and classes ``(B,)``."""
        for inputs, classes in batches:
            self.model.train()
            loss = F.cross_entropy(self.logits(inputs), classes.to(self.device))
            (loss / len(batches)).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), CLIPPING)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def logits(self, inputs: Sequence[Tensor]) -> Tensor:
        """``(B, K)``."""
        lengths = torch.tensor([len(each) for each in inputs])
        padded = nn.utils.rnn.pad_sequence(list(inputs), batch_first=True)
        return self.model(padded.to(self.device), lengths.to(self.device))

    @torch.no_grad()
    def accuracy(self, inputs: Sequence[Tensor], classes: Tensor) -> float:
        """Share of utterances whose class is found."""
        self.model.eval()
        parts = [self.logits(inputs[start : start + BATCH]) for start in range(0, len(inputs), BATCH)]
        return float((torch.cat(parts).argmax(1).cpu() == classes).double().mean())


def measure_theirs(folder: Path, options: argparse.Namespace) -> list[float]:
    """Seconds of each measured step of S3PRL, after one that is not measured."""
    torch.manual_seed(0)
    trainer = S3prlTrainer(load_theirs(folder, options.entry, options.device), len(CLASSES), options.device)
    random, seconds = np.random.default_rng(0), []
    lengths = turn_seconds((options.steps + 1) * BATCH * ACCUMULATE, seed=1)
    turns = [
        torch.from_numpy(random.normal(0, 0.1, round(each * SAMPLE_RATE)).astype(np.float32))
        for each in lengths
    ]
    size = BATCH * ACCUMULATE
    for start in range(0, len(turns), size):
        parts = [turns[first : first + BATCH] for first in range(start, start + size, BATCH)]
        batches = [(part, torch.randint(len(CLASSES), (BATCH,))) for part in parts]
        began = time.perf_counter()
        trainer.step(batches)
        if options.device != "cpu":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return seconds[1:]


def measure_extraction(folder: Path, options: argparse.Namespace) -> float:
    """Seconds that our features of all turns take, from those of some."""
    data = write_audio(folder / "audio", turns_in_batches(options.utterances, options.batch_seconds))
    more = ["--device", options.device, "--batch-seconds", str(options.batch_seconds)]
    jobs = options.jobs if options.device == "cpu" else 1
    timing, _ = extract(data.path, f"hf:{folder / 'model'}", jobs, more)
    return TURNS * MEAN_SECONDS / timing["times_real_time"]


def made_up(folder: Path, layers: int, dim: int, share: float = 1.0) -> tuple[Path, Path]:
    """A data directory of IEMOCAP's sessions and classes, and features in which a class shows faintly."""
    random = np.random.default_rng(0)
    labels = random.permutation(np.repeat(list(CLASSES), list(CLASSES.values())))
    directions = dict(zip(CLASSES, random.normal(0, 0.1, (len(CLASSES), layers, dim)), strict=True))
    tables: dict[str, dict[str, str]] = {name: {} for name in ("utt2spk", "utt2emo", "utt2fold")}
    session_of = np.repeat(np.arange(1, FOLDS + 1), SESSIONS)
    store = FeatureStore(folder / "feats", "made-up")
    with store.write_shard(0) as writer:
        for number in np.sort(random.permutation(TURNS)[: round(share * TURNS)]):
            session, label = session_of[number], str(labels[number])
            speaker = f"Ses{session:02d}{'FM'[number % 2]}"
            name = f"{speaker}-{number:05d}"
            tables["utt2spk"][name], tables["utt2emo"][name] = speaker, label
            tables["utt2fold"][name] = f"Session{session}"
            mean = (random.normal(0, 1, (layers, dim)) + directions[label]).astype(np.float32)
            writer.write(name, {"pooled_mean": mean, "pooled_std": np.ones_like(mean)})
    meta = {"upstream": "made up", "tag": "made-up", "family": "hubert", "checkpoint": None,
            "sample_rate": 16000, "frame_rate": 50.0, "layers": layers, "dim": dim, "parameters": 0,
            "precision": "float32", "context": "length"}  # fmt: skip
    store.combine(range(1), meta, False)
    recordings = {"wav.scp": {name: f"{name}.wav" for name in tables["utt2spk"]}}
    DataDir(folder / "data", LabelSchema("made-up", classes=sorted(CLASSES)), tables, recordings).write(
        folder / "data"
    )
    return folder / "data", folder / "feats"


def measure_training(folder: Path, options: argparse.Namespace) -> float:
    """Seconds of our training of all five folds, by jobs side by side; programs' start counted in."""
    config = SHAPES[options.shape]
    layers, dim = config.get("num_hidden_layers", 12) + 1, config.get("hidden_size", 768)
    data, feats = made_up(folder, layers, dim, options.share)
    command = [sys.executable, "-m", "ser.cli", "train", "--config", str(CONFIG), "--data", str(data)]
    jobs = min(options.jobs, FOLDS)
    command += ["--feats", str(feats), "--exp", str(folder / "exp"), "--nj", str(jobs)]
    command += [f"--optimizer.epoch_steps={options.epoch_steps}"] if options.epoch_steps else []
    rates = ", ".join(f"{rate:f}" for rate in RATES)  # YAML takes 1e-05 for a word
    command += [f"--search={{optimizer.lr: [{rates}]}}"] if options.sweep else []
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    began = time.perf_counter()
    started = [
        subprocess.Popen([*command, "--job", str(job)], env=environment, stderr=subprocess.DEVNULL)
        for job in range(1, jobs + 1)
    ]
    if any([process.wait() for process in started]):
        sys.exit(f"training failed; run it to see why: {' '.join(command)} --job 1")
    return time.perf_counter() - began


def main(argv: Sequence[str] | None = None) -> None:
    """Print seconds on both sides, and how many times they differ."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=list(SHAPES), default="base")
    parser.add_argument("--entry", choices=ENTRIES, default=ENTRIES[0], help="what S3PRL loads")
    parser.add_argument("--steps", type=int, default=20, help="steps of S3PRL that are measured")
    parser.add_argument("--utterances", type=int, default=64, help="turns whose extraction is measured")
    parser.add_argument("--batch-seconds", type=float, default=BATCH_SECONDS, help="audio in a batch of ours")
    parser.add_argument("--jobs", type=int, default=available_cores(), help="cores of either side")
    parser.add_argument("--sweep", action="store_true", help="train with all ten learning rates")
    parser.add_argument("--share", type=float, default=1.0, help="of the turns that are trained on: a trial")
    parser.add_argument("--epoch-steps", type=int, help="steps between validations: a trial")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path, help="write what was found here as well")
    options = parser.parse_args(argv)
    os.environ["OMP_NUM_THREADS"] = str(options.jobs)
    torch.set_num_threads(options.jobs)
    where = f"CPU, {options.jobs} cores" if options.device == "cpu" else torch.cuda.get_device_name()
    print(f"HuBERT {options.shape} ({options.entry}), {where}, load {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_model(folder / "model", options.shape)
        steps = measure_theirs(folder / "model", options)
        extraction = measure_extraction(folder, options)
        training = measure_training(folder, options)
    theirs = FOLDS * STEPS * float(np.mean(steps))
    low, high = np.percentile(steps, [25, 75])
    rates = len(RATES)
    once, sweep = (training / rates, training) if options.sweep else (training, training * rates)
    print(f"S3PRL: a step {np.mean(steps):.3f} s [{low:.3f}, {high:.3f}], mean and quartiles of {len(steps)}")
    print("\n".join(align([
        ["", "S3PRL", "ours", "of it extraction", "times"],
        ["one run", clock(theirs), clock(extraction + once), clock(extraction),
         f"{theirs / (extraction + once):.0f}"],
        [f"{rates} learning rates", clock(rates * theirs), clock(extraction + sweep), clock(extraction),
         f"{rates * theirs / (extraction + sweep):.0f}"],
    ], right=range(1, 5))))  # fmt: skip
    if options.epoch_steps or options.share < 1:
        print("training was cut short: the last column is no result")
    if options.json:
        found = {"steps": steps, "extraction": extraction, "training": training, "sweep": options.sweep}
        write_json(options.json, {name: str(value) for name, value in vars(options).items()} | found)


if __name__ == "__main__":
    main()
