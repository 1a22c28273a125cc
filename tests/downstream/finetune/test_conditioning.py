"""Fine-tuned models that are told of gender and words: padding, micro-batches, resume, mistakes."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ser.core.errors import UserError
from ser.core.files import read_yaml, write_text
from ser.data.arks import ArkReader
from ser.data.datadir import DataDir
from ser.downstream.conditioning.side import FEMALE, MALE, UNKNOWN, Side, Told
from ser.downstream.conditioning.side_config import GenderConfig, SideOptions, TextConfig
from ser.downstream.config import TaskConfig
from ser.downstream.experiment import AudioSources, Experiment
from ser.downstream.finetune.config import (
    BatchConfig,
    EncoderConfig,
    FinetuneConfig,
    InterpreterConfig,
    OptimizerConfig,
    PoolingConfig,
)
from ser.downstream.finetune.fit import FineTuning
from ser.downstream.finetune.model import EndToEnd, Waves
from ser.downstream.finetune.train import finetune_experiment
from ser.downstream.predict import predict_experiment
from ser.upstream import load_upstream
from tests.downstream.finetune.experiments import (
    WORDS,
    assert_same_gradients,
    bytes_of,
    gradients_of,
    interrupted,
    make_fit,
    quick,
)
from tests.downstream.tones import CLASSES, write_tones

TOLD = [
    (GenderConfig(fusion, source, task=task), TextConfig(text, width=8))
    for fusion, source, task, text in (
        ("concatenate", "true", False, "none"), ("film", "predicted", False, "none"),
        ("none", "true", True, "none"), ("add", "true", True, "concatenate"),
        ("none", "true", False, "cross_attention"), ("film", "predicted", False, "cross_attention"),
    )
]  # fmt: skip


def told_of(sources: AudioSources, gender: GenderConfig, text: TextConfig) -> Told:
    options = SideOptions(gender, text, WORDS if text.fusion != "none" else 0)
    told = Told.load([(DataDir.load(sources.data), sources.text_feats)], options)
    assert told is not None
    return told


def make_told_fit(sources: AudioSources, upstream: str, config: FinetuneConfig) -> FineTuning:
    asked = config.gender.on or config.text.fusion != "none"
    told = told_of(sources, config.gender, config.text) if asked else None
    return make_fit(sources.data, upstream, config, told)


def test_gender_and_words_by_name(sources: AudioSources) -> None:
    told = told_of(sources, GenderConfig("add"), TextConfig("concatenate"))
    names = DataDir.load(sources.data).utterances
    some = told.of([names[-1], names[0], names[27]])
    assert some.gender.tolist() == [UNKNOWN, FEMALE, MALE]
    assert some.text.isnan().all(1).tolist() == [False, True, True]


@pytest.mark.parametrize(("gender", "text"), TOLD)
def test_training_starts_from_the_model_that_is_told_nothing(sources, encoder, gender, text) -> None:
    """The same head but for columns of zeros, and the same predictions."""
    config = quick(interpreter=InterpreterConfig([8], 0.0, start="random"))
    plain = make_told_fit(sources, encoder("wavlm-base"), config)
    told = make_told_fit(sources, encoder("wavlm-base"), replace(config, gender=gender, text=text))
    names = plain.learn[:6]
    torch.testing.assert_close(told._predict(names)[1], plain._predict(names)[1], rtol=0, atol=1e-6)
    assert told.model.trained_parameters() > plain.model.trained_parameters()


@pytest.mark.parametrize("pooling", ["mean", "mean+std", "attention", "attentive"])
def test_words_read_the_frames_of_their_own_utterance(sources, encoder, pooling) -> None:
    """Alone, in a batch, and beside whatever lies in the padding: the same vector."""
    options = SideOptions(text=TextConfig("cross_attention", width=8), text_dim=WORDS)
    torch.manual_seed(0)
    upstream = load_upstream(encoder("wavlm-base"))
    parts = (EncoderConfig("none", layer="weighted"), InterpreterConfig([8]), 2, [""], PoolingConfig(pooling))
    model = EndToEnd(upstream, *parts, options).eval()
    words = torch.randn(2, WORDS)
    wave, lengths = torch.randn(2, 8000), torch.tensor([8000, 5000])
    wave[1, 5000:] = 0
    together = model.embed(Waves(wave, lengths, ("", ""), text=words))
    alone = model.embed(Waves(wave[1:, :5000], lengths[1:], ("",), text=words[1:]))
    assert together.shape == (2, model.dim) and model.dim == model.pooling.dim + 8
    torch.testing.assert_close(together[1:], alone, rtol=1e-4, atol=1e-5)
    f = torch.randn(2, 7, upstream.info.dim)
    spoilt = f.clone()
    spoilt[1, 4:] = math.nan
    read = [model.reader(words, x, torch.tensor([7, 4])) for x in (f, spoilt)]
    assert torch.equal(*read) and not torch.equal(read[0][0], read[0][1])
    other = model.reader(words.flip(0), f, torch.tensor([7, 4]))
    assert not torch.allclose(other, read[0])


@pytest.mark.parametrize(("gender", "text"), TOLD)
def test_micro_batches_change_no_gradient(sources, encoder, gender, text) -> None:
    found = []
    for batches in (
        BatchConfig(8, 100.0, 0.4),
        BatchConfig(8, 0.1, 0.4),
        BatchConfig(8, 1.0, 0.4, "shuffle"),
    ):
        fit = make_told_fit(sources, encoder("wavlm-base"), quick(batches=batches, gender=gender, text=text))
        found.append(gradients_of(fit)[0])
    own = [name for name in found[0] if name.startswith(("reader.", "side.", "head.0."))]
    assert all(bool(found[0][name].isfinite().all()) for name in own)
    if gender.classified:
        assert bool(found[0]["side.gender.classifier.weight"].any())
    for other in found[1:]:
        assert_same_gradients(found[0], other)


@pytest.mark.parametrize("text", ["concatenate", "cross_attention"])
def test_words_that_tell_the_class_are_learnt_saved_and_predicted_with(
    sources, encoder, tmp_path: Path, text: str
) -> None:
    """Classes that no sound tells: chance without words, nearly all right with them."""
    right = {}
    for fusion in ("none", text):
        config = FinetuneConfig(
            task=TaskConfig(), encoder=EncoderConfig("none"), text=TextConfig(fusion, width=8),
            gender=GenderConfig("concatenate", task=fusion != "none"),
            interpreter=InterpreterConfig([16], 0.0, norm="none"), batches=BatchConfig(8, 8.0, 0.0),
            optimizer=OptimizerConfig(head_lr=0.02, epochs=15, patience=15),
        )  # fmt: skip
        experiment = Experiment(tmp_path / fusion)
        given = replace(sources, upstream=encoder("wavlm-base"))
        finetune_experiment(config, given, experiment, only_fold="b")
        predict_experiment(experiment)
        found = ArkReader(experiment.fold_dir(0, "b") / "test" / "pred.scp")
        label = DataDir.load(sources.data).classes_of()
        heard = set(ArkReader(sources.text_feats / "embedding.scp"))
        scores = [CLASSES[int(found[u].argmax())] == label[u] for u in found if u in heard]
        assert len(found) == 20 and len(scores) > 16
        right[fusion] = np.mean(scores)
        options = read_yaml(experiment.path / "info.yaml")["options"]
        assert "gender (true), concatenated" in options
        assert ("gender as a task x 0.1" in options) == any(each.startswith("text,") for each in options)
        assert read_yaml(experiment.path / "config.yaml")["sources"]["text_feats"] == (
            None if fusion == "none" else str(sources.text_feats)
        )
    assert right[text] > 0.85 and right["none"] < 0.7


def test_resumed_equals_uninterrupted(sources, encoder, tmp_path: Path) -> None:
    """What is hidden in an epoch follows from the seed, not from the steps that were made before."""
    given = replace(sources, upstream=encoder("wavlm-base"))
    config = quick(
        3, gender=GenderConfig("film", "predicted", hide=0.5), text=TextConfig("cross_attention", 8, 0.5)
    )
    whole, parts = (Experiment(tmp_path / name) for name in ("whole", "parts"))
    finetune_experiment(config, given, whole, only_fold="a")
    with interrupted(5):
        finetune_experiment(config, given, parts, only_fold="a")
    finetune_experiment(config, given, parts, only_fold="a")
    assert bytes_of(whole) == bytes_of(parts)


def test_a_task_of_gender_alone_leaves_the_input_as_it_is(sources, encoder) -> None:
    fit = make_told_fit(sources, encoder("wavlm-base"), quick(gender=GenderConfig(task=True, weight=0.5)))
    v = torch.randn(4, fit.model.dim)
    side = Side(torch.tensor([FEMALE, MALE, UNKNOWN, FEMALE]))
    assert torch.equal(fit.model.inputs(v, side), v)
    # The classifier starts at zero: log 2 for each known gender, times the weight.
    assert float(fit.model.side_loss(v, side)) == pytest.approx(0.5 * math.log(2))


def test_data_that_do_not_tell(sources, encoder, tmp_path: Path) -> None:
    given = replace(sources, upstream=encoder("wavlm-base"))

    def refused(words: str, given: AudioSources, **options: object) -> None:
        with pytest.raises(UserError) as caught:
            finetune_experiment(quick(**options), given, Experiment(tmp_path / "exp"))
        assert words in str(caught.value) and not (tmp_path / "exp").exists()

    words = {"text": TextConfig("cross_attention")}
    refused("text.fusion wants embeddings", replace(given, text_feats=None), **words)
    refused("no embeddings of transcripts", replace(given, text_feats=tmp_path), **words)
    refused("text.width must be a multiple", given, text=TextConfig("cross_attention", width=6))
    data = write_tones(tmp_path)
    refused("no gender is known", replace(given, data=data), gender=GenderConfig(task=True))
    write_text(data / "spk2gender", "".join(f"{speaker} f\n" for speaker in "abcd"))
    refused("only one gender", replace(given, data=data), gender=GenderConfig("add", "predicted"))
    write_text(data / "spk2gender", "".join(f"{speaker} ж\n" for speaker in "abcd"))
    refused("spk2gender", replace(given, data=data), gender=GenderConfig("add"))
