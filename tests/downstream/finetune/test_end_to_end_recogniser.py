"""Fine-tuned experiments on one's own audio: the same as on their data directory."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import ser
from ser.cli.main import dispatch
from ser.core.errors import UserError
from ser.data.arks import ArkReader
from ser.downstream.conditioning.side_config import GenderConfig, TextConfig
from ser.downstream.experiment import Experiment
from ser.downstream.finetune.config import EncoderConfig, FinetuneConfig, InterpreterConfig
from ser.downstream.finetune.recogniser import check_impersonal
from ser.downstream.finetune.train import finetune_experiment
from ser.downstream.predict import predict_experiment
from ser.downstream.recogniser import Recognition
from tests.downstream.finetune.experiments import quick, run
from tests.downstream.tones import CLASSES


def values(found: Recognition) -> np.ndarray:
    return np.array([*found.probabilities.values(), *found.attributes.values()])


@pytest.fixture(scope="module")
def trained(corpus: Path, encoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folds of LoRA, predicted."""
    config: FinetuneConfig = quick(interpreter=InterpreterConfig([8], 0.0, input_norm="batch"))
    config.encoder = EncoderConfig("none", layer="weighted", normalise="global")
    config.encoder.adapter.kind = "lora"
    folder = tmp_path_factory.mktemp("own") / "exp"
    for fold in "ab":
        experiment = run(corpus, encoder("wavlm-base"), folder, config, only_fold=fold)
    predict_experiment(experiment)
    return folder


def wav(data: Path, utterance: str) -> str:
    table = dict(line.split(maxsplit=1) for line in (data / "wav.scp").read_text().splitlines())
    return table[utterance]


def test_a_fold_gives_what_it_predicted_for_its_test_speaker(corpus: Path, trained: Path) -> None:
    one = ser.load(str(trained), fold="a")
    found = ArkReader(trained / "seed0" / "folda" / "test" / "pred.scp")
    for utterance, expected in list(found.items())[:4]:
        recognised = one(wav(corpus, utterance))
        np.testing.assert_allclose(values(recognised), expected, rtol=0, atol=1e-5)
        assert recognised.label == CLASSES[int(expected[:2].argmax())]


def test_the_mean_of_folds_in_any_company(corpus: Path, trained: Path, tmp_path: Path) -> None:
    names = ["a-all00", "b-all01", "a-all03"]
    each = {fold: ser.load(str(trained), fold=fold) for fold in "ab"}
    files = [wav(corpus, name) for name in names]
    dispatch(["predict", str(trained), *files, "-o", str(tmp_path / "out.csv")])
    rows = list(csv.DictReader((tmp_path / "out.csv").open()))
    for row, file in zip(rows, files, strict=True):
        expected = np.mean([values(model(file)) for model in each.values()], axis=0)
        found = [float(row[f"p_{name}"]) for name in CLASSES] + [float(row["arousal"])]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_gender_and_words_that_a_file_does_not_tell(sources, encoder, tmp_path: Path, caplog) -> None:
    experiment = Experiment(tmp_path / "exp")
    config = quick(1, gender=GenderConfig("film"), text=TextConfig("cross_attention", width=8))
    given = replace(sources, upstream=encoder("wavlm-base"))
    finetune_experiment(config, given, experiment, only_fold="a")
    model = ser.load(str(experiment.path))
    assert "gender is not known of files" in caplog.text and "files have no transcript" in caplog.text
    assert np.isfinite(values(model(wav(sources.data, "a-all00")))).all()


def test_nobody_is_asked_who_speaks() -> None:
    class Personal:
        def vectors_of(self, speakers):
            raise UserError("no such speaker")

    class Assigned:
        def vectors_of(self, speakers):
            return torch.zeros(1, 3)

    for upstream in (Personal(), Assigned()):
        with pytest.raises(UserError, match="an embedding for every speaker"):
            check_impersonal(upstream, Path("exp"))
