"""What tests of speaker and side information share: inputs, models without zeros, quick experiments."""

from pathlib import Path

import torch

from ser.downstream.conditioning.side_config import GenderConfig, TextConfig
from ser.downstream.conditioning.speaker_config import SpeakerConfig
from ser.downstream.config import ModelConfig, OptimizerConfig, TaskConfig, TrainConfig
from ser.downstream.experiment import Experiment, Sources
from ser.downstream.model import UtteranceModel
from ser.downstream.predict import predict_experiment
from ser.downstream.train import train_experiment

SHAPE = (2, 3, 4)


def features(n: int = 12) -> torch.Tensor:
    """Statistics of n utterances, ``(n, *SHAPE)``."""
    return torch.randn(n, *SHAPE, generator=torch.Generator().manual_seed(0))


def stir(model: UtteranceModel) -> UtteranceModel:
    """Random values everywhere, so that no zero start hides anything."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model


def configured(*told: SpeakerConfig | GenderConfig | TextConfig, epochs: int, **model) -> TrainConfig:
    """Arousal alone, by a ``model`` that is told of these groups."""
    names = {SpeakerConfig: "speaker", GenderConfig: "gender", TextConfig: "text"}
    return TrainConfig(
        task=TaskConfig(emotion=False, attributes=["arousal"]),
        model=ModelConfig(**model),
        optimizer=OptimizerConfig(lr=0.01, epochs=epochs, patience=epochs, batch_size=16),
        **{names[type(group)]: group for group in told},
    )


def run(config: TrainConfig, sources: Sources, path: Path) -> Experiment:
    """Train, and predict every part."""
    experiment = Experiment(path)
    train_experiment(config, sources, experiment)
    predict_experiment(experiment, ["train", "validation", "test"])
    return experiment
