"""Every conf/*.yaml of every recipe is understood, and every combination it searches makes sense."""

from pathlib import Path

import pytest
import yaml

from ser.cli import finetune, memory_train, papt, train
from ser.downstream.config import TrainConfig
from ser.downstream.finetune.config import FinetuneConfig
from ser.memory.config import MalConfig
from ser.papt.config import PaptConfig
from ser.scoring.mapping import Mapping
from ser.scoring.tables.quoted import read_quotations

ROOT = Path(__file__).resolve().parents[2]
MAPPINGS = sorted(ROOT.glob("egs/*/*/conf/mapping.yaml"))
QUOTED = sorted(ROOT.glob("egs/*/*/conf/quoted*.yaml"))
CONFIGURATIONS = sorted(
    {*ROOT.glob("egs/*/*/conf/*.yaml"), *ROOT.glob("egs/*/*/conf/grid/*.yaml")} - set(MAPPINGS) - set(QUOTED)
)
# Verb: its parser, its configuration, and what it wants beside that.
VERBS = {
    "train": (train, TrainConfig, ["--data", "d", "--feats", "f", "--exp", "e"]),
    "finetune": (finetune, FinetuneConfig, ["--data", "d", "--upstream", "u", "--exp", "e"]),
    "memory-train": (memory_train, MalConfig, ["--data", "d", "--feats", "f", "--exp", "e"]),
    "papt": (papt, PaptConfig, ["--upstream", "u", "--data", "d", "--units", "u", "--out", "o"]),
}


def verb_of(path: Path) -> str:
    """Which verb reads a configuration.

    Pre-training has no labels; conversations have a history, a model of features its own section.
    """
    sections = yaml.safe_load(path.read_text())
    if "task" not in sections:
        return "papt"
    if "history" in sections:
        return "memory-train"
    return "train" if "model" in sections else "finetune"


def test_there_are_some_of_every_kind() -> None:
    assert {verb_of(path) for path in CONFIGURATIONS} == set(VERBS)


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: str(path.relative_to(ROOT)))
def test_it_is_understood(path: Path) -> None:
    module, kind, others = VERBS[verb_of(path)]
    parser = module.make_parser()
    options = parser.instantiate(parser.parse_args(["--config", str(path), *others]))
    config = kind(**{name: options[name] for name in kind.__dataclass_fields__})
    config.check()
    if isinstance(config, TrainConfig):
        assert list(config.candidates())


@pytest.mark.parametrize("path", MAPPINGS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_mapping_is_understood(path: Path) -> None:
    assert Mapping.read(path).class_of("happiness")


@pytest.mark.parametrize("path", QUOTED, ids=lambda path: str(path.relative_to(ROOT)))
def test_published_figures_are_of_the_recipe_s_corpus_and_name_their_source(path: Path) -> None:
    quotations = read_quotations([path])
    assert quotations
    assert {quotation.corpus for quotation in quotations} == {path.parts[-4]}
    assert all(quotation.source and quotation.rows for quotation in quotations)
