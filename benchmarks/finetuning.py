"""Fine-tuning a WavLM by length buckets against the plain loop: speed, padding, memory, and the loss.

    python benchmarks/finetuning.py
    python benchmarks/finetuning.py --device cuda --encoder large --precision bf16 --utterances 512

The plain loop is what most recipes have: batches of ``--group`` utterances as they come, padded to the
longest, gradients summed up to a step of ``--size``. Ours divides the same steps by length (``batches.order:
bucket``), ``--micro-seconds`` of audio at once, and keeps all activations, or the last micro-batch's alone
(``replayed``). Head and loss are such that both compute the same: a linear layer, cross-entropy, no dropout.
So the loss of every step must agree, which is checked. Weights are random, audio is noise, and only lengths
are like speech.

``eager`` attention is scores, softmax and product one after the other, ``sdpa`` torch's fused kernel. A row
is a process of its own. Speed is in examples a second: of wall time on a GPU, of the process's computing time
on a CPU, which others on the machine disturb less. Memory is what a step adds to weights and optimiser.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor

from ser.downstream.finetune.batches import AudioSet, divide, plan_epoch, read_batch
from ser.downstream.finetune.config import EncoderConfig, InterpreterConfig, PoolingConfig
from ser.downstream.finetune.model import EndToEnd
from ser.engine.effective_batch import MicroBatch, backward, gather_vectors
from ser.papt.encoders.scratch import LARGE_KIND, SIZES
from ser.upstream.base import Upstream, UpstreamInfo, count_parameters
from ser.upstream.personalised import build_model
from ser.upstream.wav2vec2 import Wav2Vec2Upstream

LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
ENCODERS = {"tiny": SIZES["tiny"], "small": SIZES["small"], "base-plus": {}, "large": LARGE}
RATE, CLASSES = 16000, 8
# Largest difference of a step's loss from the plain loop's, of its size.
TOLERANCE = {"no": 1e-3, "bf16": 3e-2}


@dataclass(frozen=True)
class Row:
    """A way to train: plain or by buckets, which attention, and whether activations are kept."""

    name: str
    buckets: bool = False
    kernel: str = "eager"
    other_precision: bool = False
    replayed: bool = False


ROWS = [
    Row("plain loop"),
    Row("bucketing alone", buckets=True),
    Row("bucketing alone, replayed", buckets=True, replayed=True),
    Row("attention kernel alone", kernel="sdpa"),
    Row("precision alone", other_precision=True),
    Row("bucketing and kernel", buckets=True, kernel="sdpa"),
    Row("bucketing and kernel, replayed", buckets=True, kernel="sdpa", replayed=True),
]


class Noise:
    """Stands in for a reader of audio: noise, so long as is wanted."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self.seconds, self.names = seconds, list(seconds)

    def read(self, utterance: str) -> np.ndarray:
        """Samples ``(T,)``, always the same of an utterance."""
        random = np.random.default_rng(self.names.index(utterance))
        return random.normal(0, 0.1, round(self.seconds[utterance] * RATE)).astype(np.float32)


def durations(count: int, median: float, longest: float) -> dict[str, float]:
    """Seconds of so many utterances: log-normal, as spoken turns are, of 1 s to ``longest``."""
    drawn = median * np.exp(0.6 * np.random.default_rng(0).normal(size=count))
    return {f"u{number:04d}": float(value) for number, value in enumerate(np.clip(drawn, 1.0, longest))}


def make_encoder(size: str, device: str) -> Upstream:
    """A random WavLM of the large kind (layer norms in the front end, pre-norm)."""
    torch.manual_seed(0)
    model = build_model("wavlm", ENCODERS[size] | LARGE_KIND)
    info = UpstreamInfo(
        name=size, tag=size, family="wavlm", sample_rate=RATE, frame_rate=50.0,
        num_layers=model.config.num_hidden_layers + 1, dim=model.config.hidden_size,
        parameters=count_parameters(model), checkpoint=None,
    )  # fmt: skip
    return Wav2Vec2Upstream(model, info, normalise=True).to(device)


def eager_attention(q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None) -> Tensor:
    """softmax(q k^T / sqrt(d) + mask) v, every intermediate in memory."""
    scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
    if attn_mask is not None:
        scores = scores + attn_mask.to(scores.dtype)
    return scores.softmax(-1).to(v.dtype) @ v


class Trainer:
    """Steps of AdamW on the same effective batches, one way or the other."""

    def __init__(self, row: Row, options: argparse.Namespace) -> None:
        self.row, self.options, self.accelerator = row, options, Accelerator(cpu=options.device == "cpu")
        seconds = durations(options.utterances, options.median, options.longest)
        self.upstream = make_encoder(options.encoder, options.device)
        noise = Noise(seconds)
        everyone = dict.fromkeys(seconds, "s")
        self.audio = AudioSet(dict.fromkeys(seconds, noise), everyone, seconds, {}, self.upstream)
        torch.manual_seed(0)
        head = InterpreterConfig(hidden=[], dropout=0.0)
        pooling = PoolingConfig(options.pooling)
        encoder = EncoderConfig(options.trainable)
        self.model = EndToEnd(self.upstream, encoder, head, CLASSES, [], pooling).train()
        torch.nn.init.normal_(self.model.head[-1].weight, std=0.02)
        self.classes = {name: number % CLASSES for number, name in enumerate(seconds)}
        trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.adam = torch.optim.AdamW(trained, 1e-4)
        self.batches = plan_epoch(list(seconds), options.size, 0, 1)
        other = {"no": "bf16", "bf16": "no"}[options.precision]
        self.precision = other if row.other_precision else options.precision

    def micro_batches(self, batch: list[str]) -> list[MicroBatch]:
        """The batch in parts, their audio read."""
        if self.row.buckets:
            parts = divide(self.audio, batch, self.options.micro_seconds, 0.0, self.accelerator)
        else:
            group = self.options.group
            starts = range(0, len(batch), group)
            parts = {n: tuple(batch[start : start + group]) for n, start in enumerate(starts)}
        return read_batch(self.audio, batch, parts)

    def step(self, batch: list[str], micro: list[MicroBatch]) -> float:
        """Forward and backward pass, and the optimiser's step; the batch's loss."""
        device = self.accelerator.device
        classes = torch.tensor([self.classes[name] for name in batch], device=device)
        if self.row.buckets:
            kept = 1 if self.row.replayed else len(micro)
            vectors = gather_vectors(
                self.embed, micro, len(batch), self.model.dim, self.accelerator, kept
            )  # fmt: skip
            loss = F.cross_entropy(self.model.head(vectors), classes)
            backward(loss, self.model.encoder_parameters(), self.accelerator)
            total = float(loss.detach())
        else:
            total = 0.0
            for each in micro:
                outputs = self.model.head(self.embed(each.inputs).float())
                loss = F.cross_entropy(outputs, classes[each.rows.to(device)], reduction="sum") / len(batch)
                loss.backward()
                total += float(loss.detach())
        self.adam.step()
        self.adam.zero_grad()
        return total

    def embed(self, waves: tuple) -> Tensor:
        """Pooled vectors, in the row's precision and with its attention."""
        device = self.options.device.split(":")[0]
        with torch.autocast(device, torch.bfloat16, enabled=self.precision == "bf16"):
            return self.model.embed(waves)


def measure(row: Row, options: argparse.Namespace) -> dict[str, object]:
    """Examples a second, share of padding, added memory in MB and the loss of every step."""
    eager = mock.patch.object(F, "scaled_dot_product_attention", eager_attention)
    cpu = options.device == "cpu"
    with eager if row.kernel == "eager" else contextlib.nullcontext():
        trainer = Trainer(row, options)
        batches = [(batch, trainer.micro_batches(batch)) for batch in trainer.batches]
        waves = [micro.inputs for _, parts in batches for micro in parts]
        padding = 1 - sum(int(w.lengths.sum()) for w in waves) / sum(w.wave.numel() for w in waves)
        # One short step first, of nothing: libraries, kernels and the optimiser's moments are there.
        first = trainer.batches[0][:2]
        state = {name: value.clone() for name, value in trainer.model.state_dict().items()}
        trainer.step(first, trainer.micro_batches(first))
        trainer.model.load_state_dict(state)
        trainer.adam.zero_grad()
        for moments in trainer.adam.state.values():
            for value in moments.values():
                value.zero_()
        held, losses, rates = _memory(cpu, reset=True), [], []
        clock = time.process_time if cpu else time.perf_counter
        for _ in range(options.repeat):
            start = clock()
            losses += [trainer.step(batch, micro) for batch, micro in batches]
            if not cpu:
                torch.cuda.synchronize()
            rates.append(options.utterances / (clock() - start))
        memory = _memory(cpu) - held
    return {"rate": float(np.median(rates)), "padding": padding, "memory": memory, "losses": losses,
            "precision": trainer.precision}  # fmt: skip


def _memory(cpu: bool, reset: bool = False) -> float:
    """Peak memory in MB: of torch on the GPU (anew after ``reset``), or of this process."""
    if cpu:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if reset:
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated() / 2**20
    return torch.cuda.max_memory_allocated() / 2**20


def compare(found: dict[str, object], plain: dict[str, object]) -> float:
    """Largest difference of a step's loss from the plain loop's, of its size.

    Raises:
        SystemExit: when it is beyond what rounding explains.
    """
    one, two = np.array(found["losses"]), np.array(plain["losses"])
    difference = float((np.abs(one - two) / two).max())
    allowed = max(TOLERANCE[found["precision"]], TOLERANCE[plain["precision"]])
    if difference > allowed:
        sys.exit(f"another loss than the plain loop's: by {difference:.2g}, more than {allowed:g}")
    return difference


def main() -> None:
    """Print a line for every row."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--encoder", choices=list(ENCODERS), default="small")
    parser.add_argument("--trainable", default="no_cnn", help="as encoder.trainable of ser finetune")
    parser.add_argument("--pooling", default="mean", help="as pooling.method of ser finetune")
    parser.add_argument("--utterances", type=int, default=64)
    parser.add_argument("--median", type=float, default=4.0, help="seconds of an utterance")
    parser.add_argument("--longest", type=float, default=12.0, help="seconds of an utterance")
    parser.add_argument("--size", type=int, default=32, help="utterances a step")
    parser.add_argument("--group", type=int, default=8, help="utterances at once in the plain loop")
    parser.add_argument("--micro-seconds", type=float, default=60.0, help="audio at once in ours")
    parser.add_argument("--repeat", type=int, default=3, help="epochs, of which the median is told")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=["no", "bf16"], default="no")
    parser.add_argument("--measure", type=int, metavar="ROW", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure is not None:
        print(json.dumps(measure(ROWS[options.measure], options)))
        return
    where = "CPU" if options.device == "cpu" else torch.cuda.get_device_name()
    audio = sum(durations(options.utterances, options.median, options.longest).values())
    print(f"WavLM {options.encoder}, {options.utterances} utterances, {audio:.0f} s, {options.size} a step,"
          f" {where}, precision {options.precision}, {torch.get_num_threads()} threads")  # fmt: skip
    print(f"{'row':30s}  precision  examples/s  times  padding  added MB  last loss  difference")
    plain: dict[str, object] = {}
    for number, row in enumerate(ROWS):
        command = [sys.executable, *sys.argv, "--measure", str(number)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        plain = plain or found
        print(f"{row.name:30s}  {found['precision']:>9s}  {found['rate']:10.2f}"
              f"  {found['rate'] / plain['rate']:5.2f}  {found['padding']:7.1%}  {found['memory']:8.0f}"
              f"  {found['losses'][-1]:9.5f}  {compare(found, plain):10.1e}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
