"""Experiments to adapt, trained once a session."""

import dataclasses

import pytest

from ser.downstream.config import ValidationConfig
from ser.downstream.experiment import Experiment
from tests.personalise.experiments import CONFIG, trained


@pytest.fixture(scope="session")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    return trained(tmp_path_factory.mktemp("fixed"))


@pytest.fixture(scope="session")
def crossed(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    inner = ValidationConfig(method="inner_folds", folds=2)
    config = dataclasses.replace(CONFIG, validation=inner, search={"optimizer.lr": [0.01, 0.02]})
    return trained(tmp_path_factory.mktemp("crossed"), config=config, crossed=True)
