"""A small corpus with units, written once a session."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from ser.papt.config import PaptConfig
from ser.papt.pretrain import PaptSources, pretrain
from tests.papt.corpus import write_data, write_units


class Task(NamedTuple):
    """Folders of data and units."""

    train: Path
    units: Path
    validation: Path
    validation_units: Path

    def sources(self, upstream: str = "scratch:tiny", validation: bool = False) -> PaptSources:
        """What ``pretrain`` takes."""
        held = ([self.validation], [self.validation_units]) if validation else ([], [])
        return PaptSources(upstream, [self.train], [self.units], *held)


@pytest.fixture(scope="session")
def task(tmp_path_factory) -> Task:
    folder = tmp_path_factory.mktemp("task")
    train = write_data(folder / "train", 20, 4)
    validation = write_data(folder / "validation", 6, 2, seed=1, prefix="v")
    units = folder / "exp" / "units" / "tones"
    write_units(units / "train", train)
    write_units(units / "validation", validation)
    return Task(train.path, units / "train", validation.path, units / "validation")


def small(epochs: int = 2, fusion: str = "last", **optimizer) -> PaptConfig:
    """A configuration for seconds of training."""
    config = PaptConfig(log_every=1)
    config.speaker.fusion, config.speaker.width = fusion, 8
    config.batches.seconds, config.batches.per_step = 4, 2
    config.optimizer.epochs, config.optimizer.lr = epochs, 1e-3
    for name, value in optimizer.items():
        setattr(config.optimizer, name, value)
    return config


@pytest.fixture(scope="session")
def pretrained(task, tmp_path_factory):
    """``pretrained(fusion, upstream)``: folder of a finished experiment."""
    made: dict[tuple[str, str], Path] = {}

    def make(fusion: str = "last", upstream: str = "scratch:tiny") -> Path:
        if (fusion, upstream) not in made:
            out = tmp_path_factory.mktemp("papt") / f"{fusion}-tones"
            pretrain(small(fusion=fusion), task.sources(upstream, validation=True), out)
            made[fusion, upstream] = out
        return made[fusion, upstream]

    return make
