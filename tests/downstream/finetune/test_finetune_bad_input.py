"""Mistakes in options, audio and data: each is one message, and no number is made of it."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from ser.cli.main import dispatch
from ser.core.errors import UserError
from ser.core.files import read_json
from ser.data.arks import ArkReader
from ser.downstream.experiment import Experiment
from ser.downstream.finetune import fit as finetune_fit
from ser.downstream.predict import predict_experiment
from tests.downstream.finetune.experiments import quick, run
from tests.downstream.tones import write_tones
from tests.upstream.models import save

LORA = ["--encoder.trainable", "none", "--encoder.adapter.kind", "lora"]


def refused(corpus: Path, upstream: str, folder: Path, options: list[str], message: str) -> None:
    """The verb's one message, and nothing that looks trained."""
    argv = ["finetune", "--data", corpus, "--upstream", upstream, "--exp", folder, *options]
    with pytest.raises(UserError, match=message):
        dispatch([str(word) for word in argv])
    assert not list(folder.glob("seed*/fold*/fit.json"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--upstream", "fbank"], r"fbank has nothing that can be fine-tuned"),
        (["--encoder.trainable", "top"], r"all, no_cnn, top:<n> or none: 'top'"),
        (["--encoder.trainable", "top:9"], r"has 3 layers .*'top:9'"),
        (["--validation.method", "inner_folds"], r"one validation part: .*Use held_out"),
        (["--batches.size", "1"], r"batches.size must be at least 2: BatchNorm"),
        (["--optimizer.lr", "0"], r"optimizer.lr must be above 0"),
        (["--batches.micro", "1"], r"nearest known name is 'batches"),
        (["--encoder.merge_up_to", "2"], r"encoder.layer is one: '-1'"),
        (["--encoder.layer", "attm", "--encoder.merge_up_to", "9"], r"3 layers: 'encoder.merge_up_to: 9'"),
        (["--pooling.width", "4"], r"pooling.width is attention's.*'mean'"),
        (["--pooling.method", "max"], r"pooling.method"),
        (["--batches.order", "long"], r"batches.order"),
        (["--task.attributes", "[valence]"], r"declares no such attribute: 'valence'"),
        (["--fold", "z"], r"no such fold: 'z'"),
        (["--precision", "fp16"], r"does not have the precision: 'fp16'"),
        (["--speakers", "nowhere"], r"not personalised"),
        (["--optimizer.lr", "1e30"], r"the (loss|gradient) of step \d+ .*batch of .-all.*Lower"),
    ],
)  # fmt: skip
def test_bad_input_is_one_message(
    corpus: Path, encoder, tmp_path: Path, options: list[str], message: str
) -> None:
    if not torch.cuda.is_available() or "fp16" not in options:
        refused(corpus, encoder(), tmp_path / "exp", ["--batches.size", "8", *options], message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--encoder.adapter.kind", "adapters"], r"encoder.adapter.kind"),
        (["--encoder.adapter.kind", "lora"], r"adapters stand in for"),
        ([*LORA, "--encoder.adapter.projections", "[gate]"], r"projections"),
        (["--encoder.adapter.ranks", "3"], r"nearest known name is 'encoder.adapter.rank'"),
        (["--encoder.trainable", "top:9"], r"has 3 layers .*'top:9'"),
        (["--augment.speed", "[9]"], r"augment.speed must be factors"),
        (["--augment.noise", "loud"], r"augment.noise"),
        (["--encoder.normalise", "speaker"], r"encoder.normalise"),
        (["--unfreeze.after", "99"], r"unfreeze.after must be less than optimizer.epochs"),
    ],
)  # fmt: skip
def test_bad_adapters_augmentation_and_phases_are_one_message(
    corpus: Path, encoder, tmp_path: Path, options: list[str], message: str
) -> None:
    refused(corpus, encoder("wavlm-large"), tmp_path / "exp", options, message)


def broken_corpus(corpus: Path, folder: Path) -> Path:
    """The corpus with a missing file, and one whose samples are not numbers, which no header tells."""
    data = folder / "data" / "all"
    shutil.copytree(corpus, data)
    lines = (data / "wav.scp").read_text().splitlines()
    soundfile.write(folder / "nan.wav", np.full(8000, np.nan, np.float32), 16000, subtype="FLOAT")
    lines[9] = f"{lines[9].split()[0]} {folder / 'nan.wav'}"
    (data / "wav.scp").write_text(
        "\n".join([f"{lines[0].split()[0]} {folder / 'gone.wav'}", *lines[1:]]) + "\n"
    )
    return data


def test_broken_audio_is_named_or_left_out(corpus: Path, encoder, tmp_path: Path) -> None:
    data = broken_corpus(corpus, tmp_path)
    folders = ["--data", str(data), "--exp", str(tmp_path / "exp")]
    argv = ["finetune", *folders, "--upstream", encoder(), "--fold", "c"]
    with pytest.raises(UserError, match=r"1 of 32 utterances cannot be used: .*a-all00.*--skip-broken"):
        dispatch(argv)
    dispatch([*argv, "--skip-broken", "--optimizer.epochs", "1", "--batches.size", "8"])
    left_out = read_json(tmp_path / "exp" / "seed0" / "foldc" / "fit.json")["left_out"]
    assert sorted(left_out) == ["a-all00", "b-all01"]
    predict_experiment(Experiment(tmp_path / "exp"), ["train"])
    assert len(ArkReader(tmp_path / "exp" / "seed0" / "foldc" / "train" / "pred.scp")) == 22


def test_audio_that_breaks_while_training_is_named(corpus: Path, encoder, tmp_path: Path) -> None:
    data = broken_corpus(corpus, tmp_path)
    lines = (corpus / "wav.scp").read_text().splitlines()
    wrong = (data / "wav.scp").read_text().splitlines()
    (data / "wav.scp").write_text("\n".join([lines[0], *wrong[1:]]) + "\n")
    with pytest.raises(UserError, match=r"b-all01.*not finite.*--skip-broken"):
        run(data, encoder(), tmp_path / "exp", quick(1), only_fold="c")


def test_a_loss_that_is_not_finite_names_the_batch(
    corpus: Path, encoder, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(finetune_fit, "task_loss", lambda outputs, *_, **__: outputs.sum() * float("nan"))
    with pytest.raises(UserError, match=r"loss of step 1 \(epoch 1\) is nan, on the batch of [b-d]-all\d\d"):
        run(corpus, encoder(), tmp_path / "exp", quick(1), only_fold="a")
    log = (tmp_path / "exp" / "seed0" / "folda" / "train.log").read_text()
    assert sum(f"-all0{number}" in log for number in range(8)) >= 3


def test_too_little_to_learn_from(encoder, tmp_path: Path) -> None:
    corpus = write_tones(tmp_path, speakers="abc", utterances=1)
    with pytest.raises(UserError, match=r"effective batch of one utterance"):
        run(corpus, encoder(), tmp_path / "exp", quick(1), only_fold="a")


def test_what_changed_is_not_predicted(corpus: Path, encoder, tmp_path: Path) -> None:
    """Another upstream under the same name, or other labels: no number is made of them."""
    data, model = tmp_path / "data" / "all", tmp_path / "model"
    shutil.copytree(corpus, data)
    save("hubert-large", model)
    experiment = run(data, f"hf:{model}", tmp_path / "exp", quick(1), only_fold="a")
    text = (data / "utt2emo").read_text()
    (data / "utt2emo").write_text(text.replace("hoarse", "clear", 1))
    with pytest.raises(UserError, match=r"trained on other data"):
        predict_experiment(experiment)
    (data / "utt2emo").write_text(text)
    predict_experiment(experiment)
    shutil.rmtree(model)
    save("wav2vec2-base", model)
    with pytest.raises(UserError, match=r"another upstream"):
        predict_experiment(experiment)
