"""A corpus of conversations on disk, and one training on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ser.memory.config import (
    ConversationHeadConfig,
    ConversationOptimizerConfig,
    HistoryConfig,
    MalConfig,
    MemoryConfig,
)
from ser.memory.experiment import ConversationExperiment, ConversationSources
from ser.memory.predict import predict_conversations
from ser.memory.train import train_conversations
from tests.memory.corpus import SCENES, make_set

SETS = {
    "train": {f"t{number}": cast for number, cast in enumerate(("abab", "a", "cac", "bbc", "ab"))},
    "validation": {f"v{number}": cast for number, cast in enumerate(("dede", "ed", "dd"))},
    "test": SCENES,
}


def small_config(kind: str = "memory", scope: str = "speaker", **optimizer) -> MalConfig:
    """Options of a training of seconds, with dropout, so that random numbers count."""
    return MalConfig(
        history=HistoryConfig(kind=kind, scope=scope, width=4, span=2, parameters=0),
        memory=MemoryConfig(width=4, persistent=1, kernel=2, chunk=4),
        head=ConversationHeadConfig(dropout=0.2),
        optimizer=ConversationOptimizerConfig(
            **({"lr": 0.02, "dialogues": 2, "truncation": 2, "epochs": 3} | optimizer)
        ),
    )


def make_sources(folder: Path, **test) -> ConversationSources:
    """The three sets on disk; the test set with other options."""
    train, validation = (make_set(folder, name, SETS[name]) for name in ("train", "validation"))
    data, feats = make_set(folder, "test", **({"scenes": SETS["test"]} | test))
    return ConversationSources(*train, None, *validation, [data], [feats])


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> ConversationSources:
    """Train, validation and test sets; the third turn of dialogue d1 has no label."""
    return make_sources(tmp_path_factory.mktemp("conversations"), unlabelled=["a-test-d1-3"])


@pytest.fixture(scope="session")
def experiment(
    tmp_path_factory: pytest.TempPathFactory, sources: ConversationSources
) -> ConversationExperiment:
    """Trained for three epochs, and predicted."""
    found = ConversationExperiment(tmp_path_factory.mktemp("exp") / "memory")
    train_conversations(small_config(), sources, found)
    predict_conversations(found)
    return found
