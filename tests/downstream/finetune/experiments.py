"""What tests of fine-tuning share: quick trainings, what they leave, and ways to interrupt them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from ser.data.datadir import DataDir
from ser.downstream.conditioning.side import Told
from ser.downstream.config import TaskConfig, ValidationConfig
from ser.downstream.examples import load_labels
from ser.downstream.experiment import AudioSources, Experiment
from ser.downstream.finetune.batches import AudioSet
from ser.downstream.finetune.config import BatchConfig, FinetuneConfig, InterpreterConfig, OptimizerConfig
from ser.downstream.finetune.fit import FineTuning
from ser.downstream.finetune.train import finetune_experiment
from ser.downstream.fit import Task
from ser.upstream import load_upstream
from tests.downstream.tones import CLASSES

BOTH = TaskConfig(attributes=["arousal"])
WORDS = 6  # width of made-up embeddings of transcripts


def quick(epochs: int = 2, **options) -> FinetuneConfig:
    """A configuration that is done in a second."""
    given = {
        "task": BOTH,
        "interpreter": InterpreterConfig([8], 0.2),
        "batches": BatchConfig(8, 1.0, 0.3),
        "optimizer": OptimizerConfig(lr=1e-3, head_lr=1e-2, epochs=epochs),
        "validation": ValidationConfig(share=0.3),
    }
    return FinetuneConfig(**(given | options))


def run(corpus: Path, upstream: str, folder: Path, config: FinetuneConfig, **options) -> Experiment:
    """Fine-tune on a cross-validated set."""
    experiment = Experiment(folder)
    finetune_experiment(config, AudioSources(corpus, upstream), experiment, **options)
    return experiment


def make_fit(corpus: Path, upstream: str, config: FinetuneConfig, told: Told | None = None) -> FineTuning:
    """A training that has not begun, of which speaker a is the validation part."""
    data = DataDir.load(corpus)
    audio = AudioSet.load([data], load_upstream(upstream))
    audio.told = told
    learn = [u for u in data.utterances if not u.startswith("a")]
    held = [u for u in data.utterances if u.startswith("a")]
    labels, outputs = load_labels([data], CLASSES, ["arousal"]), Task(CLASSES, ["arousal"])
    return FineTuning(config, outputs, labels, audio, learn, held, 0, Accelerator(cpu=True))


def model_of(experiment: Experiment, fold: str = "a") -> dict[str, torch.Tensor]:
    """What was trained and kept."""
    return load_file(experiment.fold_dir(0, fold) / "model.safetensors")


def bytes_of(experiment: Experiment, fold: str = "a") -> bytes:
    """The file of ``model_of``."""
    return (experiment.fold_dir(0, fold) / "model.safetensors").read_bytes()


def gradients_of(fit: FineTuning) -> tuple[dict[str, torch.Tensor], int]:
    """Gradients of the first eight utterances' effective batch, and its number of micro-batches."""
    torch.nn.init.normal_(fit.model.head[-1].weight, generator=torch.Generator().manual_seed(0))
    fit.model.train()
    batch, micro, told = fit._read(fit.learn[:8], 1)
    # Gradients before the step changes the model: a learning rate of 0 leaves all as it is.
    for group in fit.optimizer.param_groups:
        group["lr"] = 0.0
    fit.config.optimizer.clip = 0.0
    fit._step(batch, micro, 1, told)
    return {n: p.grad.clone() for n, p in fit.model.named_parameters() if p.requires_grad}, len(micro)


def assert_same_gradients(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    """Within 1e-4 of each parameter's gradient: sums are taken in another order."""
    largest = max(float(value.norm()) for value in one.values())
    for name, value in one.items():
        scale = max(float(value.norm()), 1e-3 * largest)  # a key's bias has no gradient but rounding
        assert float((value - other[name]).norm()) / scale < 1e-4, name


@contextmanager
def interrupted(step: int) -> Iterator[None]:
    """The training within is stopped, as by Ctrl-C, in place of its ``step``-th optimizer step."""
    whole, begun = FineTuning._step, 0

    def dying(self, *arguments):
        nonlocal begun
        begun += 1
        if begun == step:
            raise KeyboardInterrupt
        return whole(self, *arguments)

    with pytest.MonkeyPatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(FineTuning, "_step", dying)
        yield


def one_and_two_processes(
    corpus: Path, upstream: str, folder: Path, *options: str, rtol: float = 1e-5
) -> tuple[Experiment, Experiment]:
    """Fold a of two epochs, by one process and by two, whose weights are compared here."""
    words = [
        "-m", "ser.cli", "finetune", "--data", str(corpus), "--upstream", upstream, "--fold", "a",
        "--optimizer.epochs", "2", "--batches.size", "8", "--batches.micro_seconds", "1", *options,
    ]  # fmt: skip
    environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    one, two = Experiment(folder / "one"), Experiment(folder / "two")
    for launcher, experiment in (([sys.executable], one), (torchrun, two)):
        command = [*launcher, *words, "--exp", str(experiment.path)]
        subprocess.run(command, check=True, timeout=300, env=environment)
    for name, value in model_of(one).items():
        torch.testing.assert_close(value, model_of(two)[name], rtol=rtol, atol=1e-5)
    return one, two
