"""Pre-training against S3PRL's own HuBERT: the loss alone and the whole step, same weights, batch and mask.

    python benchmarks/papt.py --encoder small --utterances 4 --seconds 5
    python benchmarks/papt.py --encoder large --utterances 8 --seconds 10 --device cuda --precision bf16

S3PRL's path is ``HubertModel.forward`` with ``compute_nce``, its loss on unmasked frames switched off. Each
figure comes out of a process of its own. Memory is what the passes add to what is held before them: on a GPU
by torch's count, on a CPU by the growth of the process's peak (a first small pass has loaded the libraries).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
import torch.nn.functional as F

from ser.papt.config import PaptConfig, SpeakerConfig
from ser.papt.encoders.s3prl_hubert import write_hubert
from ser.papt.encoders.scratch import LARGE_KIND, SIZES
from ser.papt.encoders.source import FAIRSEQ_EPSILON, Heads, Source
from ser.papt.loss import masked_prediction
from ser.papt.masking import MaskingConfig, batch_mask
from ser.papt.model import Inputs
from ser.papt.start import PROJECTION, build
from ser.upstream.personalised import build_model
from ser.upstream.s3prl import quiet

LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
ENCODERS = {"tiny": SIZES["tiny"] | LARGE_KIND, "small": SIZES["small"] | LARGE_KIND, "base": {},
            "large": LARGE | LARGE_KIND}  # fmt: skip
SAMPLE_RATE = 16000


def make_inputs(utterances: int, seconds: float, clusters: int, device: str) -> Inputs:
    """Noise with random units, and the mask that S3PRL draws after ``np.random.seed(0)``."""
    generator = torch.Generator().manual_seed(0)
    samples = round(seconds * SAMPLE_RATE)
    frames, random = (samples - 400) // 320 + 1, np.random.RandomState(0)
    random.rand()
    return Inputs(
        torch.randn(utterances, samples, generator=generator),
        torch.full((utterances,), samples),
        torch.full((utterances,), frames),
        torch.randint(0, clusters, (utterances, frames), generator=generator),
        torch.from_numpy(batch_mask([frames] * utterances, MaskingConfig(), [random] * utterances)),
        torch.zeros(utterances, dtype=torch.int64),
    ).to(torch.device(device))


def step_of(whose: str, encoder: str, clusters: int, device: str) -> Callable[[Inputs], torch.Tensor]:
    """Forward and backward pass and a step of Adam, with the same initial weights for either."""
    torch.manual_seed(0)
    source = Source(encoder, "hubert", build_model("hubert", ENCODERS[encoder]), False, FAIRSEQ_EPSILON)
    model = build(source, clusters, 1, PaptConfig(speaker=SpeakerConfig("none")))
    if whose == "s3prl":
        model = _s3prl(model, clusters)
    model.to(device)
    adam = torch.optim.AdamW(model.parameters(), 1e-5, (0.9, 0.98), 1e-6, 0.01)

    def step(inputs: Inputs) -> torch.Tensor:
        if whose == "s3prl":
            np.random.seed(0)
            padding = torch.zeros_like(inputs.wave, dtype=torch.bool)
            found = model(inputs.wave, [inputs.targets], padding, mask=True)
            loss = F.cross_entropy(model.get_logits(found)[0], model.get_targets(found)[0])
            loss = loss + 10 * model.get_extra_losses(found)[0][0]
        else:
            sums = model(inputs)
            loss = sums.loss / inputs.mask.sum() + 10 * sums.energy / (inputs.frames.sum() * model.channels)
        loss.backward()
        adam.step()
        adam.zero_grad()
        return loss.detach()

    return step


def _s3prl(model: torch.nn.Module, clusters: int) -> torch.nn.Module:
    """S3PRL's HubertModel with the same weights, in training mode without dropout."""
    with quiet():
        from s3prl.upstream.hubert.convert import load_converted_model
    heads = Heads(model.final_proj.weight, model.final_proj.bias, model.label_embeddings,
                  [str(unit) for unit in range(clusters)])  # fmt: skip
    with TemporaryDirectory() as folder, quiet():
        path = Path(folder) / "hubert.pt"
        write_hubert(path, model.encoder.model, heads, model.mask_embedding, False, 50.0)
        theirs, _ = load_converted_model(str(path))
    theirs.encoder.layerdrop, theirs.skip_nomask = 0.0, True
    return theirs.train()


def loss_of(whose: str, encoder: str, clusters: int, device: str) -> Callable[[Inputs], torch.Tensor]:
    """The loss alone, forward and backward, on as many projected frames as the batch masks."""
    width = ENCODERS[encoder].get("hidden_size", 768)
    width = PROJECTION.get(width, width)
    torch.manual_seed(0)
    embeddings = torch.rand(clusters, width, device=device, requires_grad=True)
    holder = type("Holder", (), {"logit_temp": 0.1})()

    def step(inputs: Inputs) -> torch.Tensor:
        generator = torch.Generator().manual_seed(0)
        targets = inputs.targets[inputs.mask]
        projected = torch.randn(len(targets), width, generator=generator).to(device).requires_grad_()
        if whose == "s3prl":
            from s3prl.upstream.hubert.hubert_model import HubertModel

            negatives = embeddings[:, None].expand(-1, len(targets), -1)
            logits = HubertModel.compute_nce(holder, projected, embeddings[targets], negatives)
            loss = F.cross_entropy(logits.float(), torch.zeros_like(targets))
        else:
            loss = masked_prediction(projected, embeddings, targets, 0.1)[0] / len(targets)
        loss.backward()
        embeddings.grad = None
        return loss.detach()

    return step


def measure(what: str, whose: str, clusters: int, options: argparse.Namespace) -> dict[str, float]:
    """Seconds, loss and added memory in MB of one kind of pass, in this process."""
    device, make = options.device, {"loss": loss_of, "step": step_of}[what]
    passing = make(whose, options.encoder, clusters, device)
    inputs = make_inputs(options.utterances, options.seconds, clusters, device)
    dtype = torch.bfloat16 if options.precision == "bf16" else torch.float32

    def once(some: Inputs) -> float:
        with torch.autocast(device.split(":")[0], dtype, enabled=options.precision != "no"):
            return float(passing(some))

    small = make_inputs(1, 0.5, clusters, device)
    once(small)
    held = _memory(device, reset=True)
    first = once(inputs)
    peak = _memory(device)
    times = []
    for _ in range(options.repeat):
        start = time.perf_counter()
        once(inputs)
        times.append(time.perf_counter() - start)
    return {"loss": first, "seconds": float(np.median(times)), "memory": peak - held}


def _memory(device: str, reset: bool = False) -> float:
    """Peak memory in MB: of torch on the GPU (anew after ``reset``), or of this process."""
    if device.startswith("cuda"):
        if reset:
            torch.cuda.reset_peak_memory_stats()
            return torch.cuda.memory_allocated() / 2**20
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print a line for every kind of pass, number of clusters and path."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--encoder", choices=list(ENCODERS), default="small")
    parser.add_argument("--utterances", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each utterance")
    parser.add_argument("--clusters", type=int, nargs="+", default=[100, 500, 2000])
    parser.add_argument("--repeat", type=int, default=5, help="passes of which the median is told")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=["no", "bf16"], default="no")
    parser.add_argument("--measure", nargs=3, metavar=("WHAT", "WHOSE", "CLUSTERS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        what, whose, clusters = options.measure
        print(json.dumps(measure(what, whose, int(clusters), options)))
        return
    masked = int(make_inputs(options.utterances, options.seconds, 2, "cpu").mask.sum())
    where = torch.cuda.get_device_name() if options.device.startswith("cuda") else "CPU"
    print(f"{options.encoder}, {options.utterances} x {options.seconds:g} s, {masked} masked frames, {where},"
          f" precision {options.precision}, {torch.get_num_threads()} threads")  # fmt: skip
    print("what  clusters  path   passes/s  added MB   loss")
    for what in ("loss", "step"):
        for clusters in options.clusters:
            for whose in ("s3prl", "ours"):
                command = [sys.executable, *sys.argv, "--measure", what, whose, str(clusters)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                found = json.loads(done.stdout.splitlines()[-1])
                print(f"{what:4s}  {clusters:8d}  {whose:5s}  {1 / found['seconds']:8.2f}"
                      f"  {found['memory']:8.0f}   {found['loss']:.5f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
