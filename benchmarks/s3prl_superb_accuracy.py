"""SUPERB's protocol by S3PRL's model and by ours, on features that both can read: accuracy in each fold.

    ser extract data/all feats/whisper --upstream hf:<folder> --frames-layers 0,1,2,3,4,5,6
    python benchmarks/s3prl_superb_accuracy.py data/all feats/whisper --epoch-steps 100

S3PRL's ``Featurizer`` and ``MeanPoolingLinear`` learn from frames of every layer, as its recipe does; ours,
``egs/iemocap/ser1/conf/superb.yaml``, from time-means, which is the same function. Folds, validation parts,
number of steps and the choice of the best of 30 checkpoints are the same. Initial values and the order of
utterances differ, as they do from seed to seed. ``--epoch-steps`` shortens both alike.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from s3prl_superb import ACCUMULATE, BATCH, CONFIG, S3prlTrainer
from torch import Tensor, nn

from ser.cli.train import make_parser
from ser.core.columns import align
from ser.core.environment import available_cores
from ser.core.seed import derive_seed, seed_everything
from ser.data.arks import ArkReader
from ser.data.datadir import DataDir
from ser.data.splits import assign_folds
from ser.downstream.config import TrainConfig
from ser.downstream.experiment import Experiment, Sources
from ser.downstream.ground import survey
from ser.downstream.predict import FeaturePredictor
from ser.downstream.protocol import validation_splits
from ser.downstream.train import train_experiment
from ser.scoring.comparison.folds import fold_test
from ser.scoring.text import p_text


class StoredFrames(nn.Module):
    """Stands in for ``S3PRLUpstream`` where the hidden states are there already, as ``(B, F, L, D)``."""

    def __init__(self, layers: int, dim: int) -> None:
        super().__init__()
        self.num_layers, self.hidden_sizes, self.downsample_rates = layers, [dim] * layers, [320] * layers

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Layers ``(B, F, D)`` and their lengths ``(B,)``."""
        return list(frames.unbind(2)), [lengths] * self.num_layers


def drawn(count: int, seed: int) -> Iterator[list[int]]:
    """Batches of S3PRL's loader, without end: shuffled anew in every pass, whose last may be short."""
    order = torch.Generator().manual_seed(seed)
    while True:
        yield from (part.tolist() for part in torch.randperm(count, generator=order).split(BATCH))


def train_ours(config: TrainConfig, data: Path, feats: Path, exp: Path, seed: int) -> list[float]:
    """Accuracy in each fold, by ``ser train`` and ``ser predict``'s own code."""
    sources, experiment = Sources(data, feats), Experiment(exp)
    train_experiment(config, sources, experiment, seed)
    ground = survey(config, sources)
    predictor, classes = FeaturePredictor(config, sources, ground.sets), ground.data.classes_of()
    found = []
    for fold in ground.folds:
        predictor.load(experiment.fold_dir(seed, fold.name) / "model.safetensors")
        names, _, predictions = predictor.predict(fold.tests["test"])
        wanted = [ground.task.classes.index(classes[name]) for name in names]
        found.append(float((predictions.argmax(1) == wanted).mean()))
    return found


def train_theirs(config: TrainConfig, data: Path, feats: Path, seed: int) -> list[float]:
    """Accuracy in each fold, by S3PRL's model on the frames, with our folds and validation parts."""
    ground = survey(config, Sources(data, feats))
    frames = load_frames(feats, ground.data.utterances)
    layers, dim = next(iter(frames.values())).shape[1:]
    classes = {u: ground.task.classes.index(c) for u, c in ground.data.classes_of().items()}
    found = []
    for fold in ground.folds:
        fold_seed = derive_seed(seed, "fold", fold.name)
        [(learn, validate)] = validation_splits(fold, ground.speaker_of, config.validation, fold_seed)
        parts = [learn, validate, fold.tests["test"].utterances]
        (inputs, targets), validation, test = (
            ([frames[u] for u in part], torch.tensor([classes[u] for u in part])) for part in parts
        )
        seed_everything(fold_seed)
        trainer = S3prlTrainer(StoredFrames(layers, dim), len(ground.task.classes))
        batches = drawn(len(learn), fold_seed)
        best, tested = -1.0, 0.0
        for _ in range(config.optimizer.epochs):
            for _ in range(config.optimizer.epoch_steps):
                rows = [next(batches) for _ in range(ACCUMULATE)]
                trainer.step([([inputs[row] for row in part], targets[part]) for part in rows])
            if (reached := trainer.accuracy(*validation)) > best:
                best, tested = reached, trainer.accuracy(*test)
        found.append(tested)
    return found


def load_frames(feats: Path, utterances: Sequence[str]) -> Mapping[str, Tensor]:
    """Utterance -> hidden states ``(F, L, D)``, float32.

    Raises:
        SystemExit: frames were not kept.
    """
    paths = {int(path.stem.removeprefix("frames_layer")): path for path in feats.glob("frames_layer*.scp")}
    if not paths:
        sys.exit(f"{feats} has no frames: extract them with --frames-layers")
    readers = [ArkReader(paths[layer]) for layer in sorted(paths)]
    return {
        name: torch.stack([torch.from_numpy(np.array(reader[name])) for reader in readers], dim=1)
        for name in utterances
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Print the accuracy of each fold on both sides, and the paired test of the difference."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="data directory with classes")
    parser.add_argument("feats", type=Path, help="its features, with frames of every layer")
    parser.add_argument("--folds", type=int, default=5, help="of whole speakers")
    parser.add_argument("--epoch-steps", type=int, default=1000, help="steps between the 30 validations")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=available_cores())
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        data = DataDir.load(options.data)
        data.tables["utt2fold"] = assign_folds(data.utt2spk, options.folds)
        data.write(folder / "data")
        parser = make_parser()
        arguments = ["--config", str(CONFIG), "--data", str(folder / "data"), "--feats", str(options.feats)]
        arguments += ["--exp", str(folder / "exp"), f"--optimizer.epoch_steps={options.epoch_steps}"]
        parsed = parser.instantiate(parser.parse_args(arguments))
        config = TrainConfig(**{name: parsed[name] for name in TrainConfig.__dataclass_fields__})
        began = time.perf_counter()
        ours = train_ours(config, folder / "data", options.feats, folder / "exp", options.seed)
        middle = time.perf_counter()
        theirs = train_theirs(config, folder / "data", options.feats, options.seed)
        spent = [middle - began, time.perf_counter() - middle]
    rows = [["", *(f"fold {number + 1}" for number in range(len(ours))), "mean", "sd", "s"]]
    for name, found, seconds in (("S3PRL", theirs, spent[1]), ("ours", ours, spent[0])):
        each = (f"{value:.4f}" for value in found)
        rows.append([name, *each, f"{np.mean(found):.4f}", f"{np.std(found, ddof=1):.4f}", f"{seconds:.0f}"])
    print("\n".join(align(rows, right=range(1, len(rows[0])))))
    test = fold_test([one - other for one, other in zip(ours, theirs, strict=True)])
    print(f"ours less S3PRL {test.difference:+.4f}, sd {test.deviation:.4f}, paired t p {p_text(test.p_t)}")


if __name__ == "__main__":
    main()
