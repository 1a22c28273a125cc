"""Every conf/*.yaml of every recipe is understood, and every combination it searches makes sense."""

import dataclasses
from pathlib import Path

import pytest

from ser.cli.train import make_parser
from ser.downstream.config import TrainConfig
from ser.scoring.mapping import Mapping

ROOT = Path(__file__).resolve().parents[2]
MAPPINGS = sorted(ROOT.glob("egs/*/*/conf/mapping.yaml"))
CONFIGURATIONS = sorted(set(ROOT.glob("egs/*/*/conf/*.yaml")) - set(MAPPINGS))


def test_there_are_some() -> None:
    assert CONFIGURATIONS


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: str(path.relative_to(ROOT)))
def test_it_is_understood(path: Path) -> None:
    parser = make_parser()
    argv = ["--config", str(path), "--data", "d", "--feats", "f", "--exp", "e"]
    options = parser.instantiate(parser.parse_args(argv))
    config = TrainConfig(**{item.name: options[item.name] for item in dataclasses.fields(TrainConfig)})
    config.check()
    assert list(config.candidates())


@pytest.mark.parametrize("path", MAPPINGS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_mapping_is_understood(path: Path) -> None:
    assert Mapping.read(path).class_of("happiness")
