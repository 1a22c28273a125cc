"""egs/mini/finetune1: its tiny models, and that its configurations leave out no option of fine-tuning."""

import dataclasses
import importlib.util
import sys
import typing
from collections import defaultdict
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
import yaml

from ser.corpora.mini.sentences import sentences
from ser.downstream.finetune.config import FinetuneConfig
from ser.text.encoder import load_text_encoder
from ser.upstream.registry import load_upstream

RECIPE = Path(__file__).resolve().parents[2] / "egs" / "mini" / "finetune1"
CONFIGURATIONS = sorted(path for path in (RECIPE / "conf").glob("*.yaml") if path.stem != "features")
# Options that this recipe cannot show, and why.
ELSEWHERE = {
    "name": "of the table alone",
    "encoder.speakers": "of papt: encoders, egs/*/papt1",
    "validation.method": "the corpus has a validation set",
    "validation.share": "likewise",
    "validation.folds": "likewise",
}
OTHER_VALUES = {"precision": {"fp16"}}  # fp16 wants a GPU


def options_of(config: Any, prefix: str = "") -> dict[str, tuple[Any, Any]]:
    """Dotted option -> (its type, its value), of a dataclass of dataclasses."""
    kinds, found = typing.get_type_hints(type(config)), {}
    for each in dataclasses.fields(config):
        value, name = getattr(config, each.name), prefix + each.name
        if dataclasses.is_dataclass(value):
            found |= options_of(value, f"{name}.")
        else:
            found[name] = (kinds[each.name], value)
    return found


def flat(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted option -> value, of what a YAML file says."""
    found = {}
    for name, value in content.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return found


def literals(kind: Any) -> set[Any]:
    """The values that a type names one by one, inside unions and lists too."""
    inner = [literals(part) for part in typing.get_args(kind) if not isinstance(part, str | int)]
    return set(typing.get_args(kind)) if typing.get_origin(kind) is Literal else set().union(*inner)


@pytest.fixture(scope="module")
def shown() -> dict[str, list[Any]]:
    """Option -> its values over all configurations, a file that leaves it out having the default."""
    values = defaultdict(list)
    for path in CONFIGURATIONS:
        said = flat(yaml.safe_load(path.read_text()))
        for name, (_, usual) in options_of(FinetuneConfig()).items():
            values[name].append(said.get(name, usual))
    return values


@pytest.mark.parametrize("name", sorted(set(options_of(FinetuneConfig())) - set(ELSEWHERE)))
def test_every_option_is_set_to_something_else_than_its_default(name, shown):
    usual = options_of(FinetuneConfig())[name][1]
    assert any(value != usual for value in shown[name]), f"no file of {RECIPE.name}/conf sets {name}"


@pytest.mark.parametrize(
    "name",
    sorted(
        name
        for name, (kind, _) in options_of(FinetuneConfig()).items()
        if literals(kind) and name not in ELSEWHERE
    ),
)
def test_every_value_of_a_choice_is_taken(name, shown):
    values = {each for value in shown[name] for each in (value if isinstance(value, list) else [value])}
    assert literals(options_of(FinetuneConfig())[name][0]) - values <= OTHER_VALUES.get(name, set())


def test_every_kind_of_trainable_and_a_layer_by_number_are_shown(shown):
    assert {value.split(":")[0] for value in shown["encoder.trainable"]} == {"all", "no_cnn", "top", "none"}
    assert any(isinstance(value, int) and value >= 0 for value in shown["encoder.layer"])


def test_run_sh_names_every_configuration():
    script = (RECIPE / "run.sh").read_text()
    named = {
        word for line in script.splitlines() if "=(" in line for word in line.split("(")[1].strip(")").split()
    }
    assert named == {path.stem for path in CONFIGURATIONS}


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.stem)
def test_a_configuration_says_in_its_first_line_what_it_shows(path):
    assert path.read_text().startswith("# ")


@pytest.fixture(scope="module")
def tiny():
    """The script of the recipe, as a module."""
    spec = importlib.util.spec_from_file_location("tiny_models", RECIPE / "local" / "tiny_models.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def make(tiny, tmp_path, monkeypatch):
    """Calls the script for a folder of the test."""

    def call(*words: str) -> Path:
        monkeypatch.setattr(sys, "argv", ["tiny_models.py", "--out", str(tmp_path / "models"), *words])
        tiny.main()
        return tmp_path / "models"

    return call


def weights(folder: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in folder.glob("*/model.safetensors")}


def test_the_models_are_what_the_verbs_take(make):
    folder = make()
    wavlm = load_upstream(f"hf:{folder / 'wavlm'}")
    assert wavlm.info.family == "wavlm"
    with torch.inference_mode():
        states = wavlm(torch.randn(2, 8000), torch.tensor([8000, 6000])).layers
    assert len(states) == 5 and all(torch.isfinite(state).all() for state in states)
    encoder = load_text_encoder(f"hf:{folder / 'text'}")
    texts = [each.text for each in sentences()]
    ids, cut = encoder.tokens(texts)
    assert cut == 0
    unknown = encoder.tokenizer.unk_token_id
    assert not any(unknown in row for row in ids), "every word of the corpus is known"
    assert torch.isfinite(encoder.embed(texts)).all()


def test_they_are_made_once_and_the_same_again(make):
    folder = make()
    before = weights(folder)
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    make()
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == times
    (folder / "wavlm" / "model.safetensors").write_bytes(b"half")
    (folder / "text" / "made.json").unlink()
    make()
    assert weights(folder) == before
    make("--seed", "1")
    assert all(weights(folder)[name] != before[name] for name in before)
    assert sorted(path.name for path in folder.iterdir()) == ["text", "wavlm"]


def test_a_model_is_written_whole_or_not_at_all(make, tiny, monkeypatch, tmp_path):
    def half(folder: Path) -> None:
        (folder / "config.json").write_text("{}")
        raise KeyboardInterrupt

    monkeypatch.setattr(tiny, "write_wavlm", half)
    with pytest.raises(KeyboardInterrupt):
        make()
    assert list((tmp_path / "models").iterdir()) == []
