"""Models on features that are told of the speaker: representation, placement, interpreter."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from ser.core.errors import UserError
from ser.core.files import read_json, read_yaml, sha256
from ser.data.arks import ArkReader
from ser.data.datadir import DataDir
from ser.downstream.conditioning.speaker_config import SpeakerConfig
from ser.downstream.conditioning.voices import NOBODY, Voices
from ser.downstream.config import ModelConfig
from ser.downstream.ensemble import Ensemble
from ser.downstream.experiment import Experiment, Sources
from ser.downstream.model import UtteranceModel
from ser.downstream.saved import SavedModel
from ser.downstream.train import train_experiment
from ser.metrics.continuous import ccc
from tests.downstream.conditioning import experiments
from tests.downstream.conditioning.experiments import SHAPE, features, run, stir
from tests.downstream.corpus import copied, make_set

SPEAKERS = ["a", "b", "c"]
configured = partial(experiments.configured, epochs=8, layer=1, hidden=16)
CELLS = [
    (representation, placement, head)
    for representation in ("mean", "max", "projection", "embedding")
    for placement, head in (
        ("last", "interpreter"), ("concatenate", "interpreter"), ("last", "transformer"),
        ("prefix", "transformer"), ("concatenate", "transformer"),
    )
]  # fmt: skip


def make(speaker: SpeakerConfig, head: str = "linear", seed: int = 0) -> UtteranceModel:
    torch.manual_seed(seed)
    config = ModelConfig(pooling="std_per_layer", head=head, hidden=16)
    return UtteranceModel(config, SHAPE, 2, speaker, SPEAKERS).eval()


def told(model: UtteranceModel, x: torch.Tensor, speakers: list[str]) -> torch.Tensor:
    voices = None
    if model.speaker is not None:
        voices = Voices.of([x], speakers, model.speaker.reduce)
        model.remember(voices)
    return model(x, model.speaker_vectors(voices, torch.arange(len(x))))


def test_none_is_the_model_that_knows_of_no_speaker():
    plain = UtteranceModel(ModelConfig(pooling="std_per_layer"), SHAPE, 2)
    model = make(SpeakerConfig())
    assert list(model.state_dict()) == list(plain.state_dict())
    stir(model), stir(plain)
    assert torch.equal(model(features()), plain(features()))


@pytest.mark.parametrize("representation", ["projection", "embedding"])
def test_a_zero_projection_is_none(representation):
    """And it is where training starts, with the head that the seed gives to either."""
    for head in ("linear", "mlp", "interpreter", "transformer"):
        model, plain = make(SpeakerConfig(representation), head), make(SpeakerConfig(), head)
        for name, value in plain.state_dict().items():
            assert torch.equal(model.state_dict()[name], value)
        torch.nn.init.normal_([*model.head.parameters()][-2])
        plain.load_state_dict({name: model.state_dict()[name] for name in plain.state_dict()})
        speakers = ["a", "b", "c", "a"] * 3
        torch.testing.assert_close(told(model, features(), speakers), plain(features()))


@pytest.mark.parametrize(("representation", "placement", "head"), CELLS)
def test_a_speakers_vector_depends_on_that_speaker_alone_and_on_no_order(representation, placement, head):
    model = stir(make(SpeakerConfig(representation, placement), head))
    x, speakers = features(), ["a", "b", "c", "a"] * 3
    before = told(model, x, speakers).detach()
    order = torch.randperm(12, generator=torch.Generator().manual_seed(1))
    moved = told(model, x[order], [speakers[i] for i in order]).detach()
    torch.testing.assert_close(moved, before[order], rtol=1e-4, atol=1e-4)
    other = x.clone()
    rows = [i for i, name in enumerate(speakers) if name == "b"]
    other[rows] += 1
    after = told(model, other, speakers).detach()
    kept = [i for i in range(12) if i not in rows]
    torch.testing.assert_close(after[kept], before[kept])
    # One utterance of b changes what is made of b's others, unless a table's row stands for b.
    other = x.clone()
    other[rows[0]] += 1
    changed = not torch.allclose(told(model, other, speakers)[rows[1:]], before[rows[1:]])
    assert changed == (representation != "embedding")


def test_the_vectors_are_what_they_are_called():
    x, speakers = features(), ["a", "b", "c", "a"] * 3
    own = x[[i for i, name in enumerate(speakers) if name == "a"]]
    for representation, expected in (("mean", own.mean(0)), ("max", own.max(0).values)):
        model = make(SpeakerConfig(representation))
        voices = Voices.of(x.split(5), speakers, model.speaker.reduce)
        found = model.speaker_vectors(voices, torch.tensor([3]))[0]
        torch.testing.assert_close(found, expected.mean(1).flatten())  # of three layers, alike at the start
        joined = model.embed(x[:1], model.speaker_vectors(voices, torch.tensor([0])))
        torch.testing.assert_close(joined, x[:1].mean(2).flatten(1) + found)


def test_an_unseen_speaker_has_the_embedding_of_the_nearest():
    model = stir(make(SpeakerConfig("embedding")))
    voices = Voices.of([features()], ["a", "b", "c", "a"] * 3, "mean")
    model.remember(voices)
    # Half as loud, and of the same direction: b's voice.
    new = Voices(["new"], 0.5 * voices.statistics[1:2], torch.tensor([0, NOBODY]))
    found = model.speaker_vectors(new, torch.tensor([0, 1]))
    assert torch.equal(found[0], model.speaker_vectors(voices, torch.tensor([1]))[0])
    assert not found[1].any()
    model.speaker.config = replace(model.speaker.config, unseen="mean")
    everyone = model.speaker_vectors(voices, torch.tensor([0, 1, 2])).mean(0)
    torch.testing.assert_close(model.speaker_vectors(new, torch.tensor([0]))[0], everyone)


def test_nobody_has_no_vector():
    x, speakers = features(4), ["a", "unknown-1", "a", "unknown-2"]
    model = stir(make(SpeakerConfig("projection")))
    voices = Voices.of([x], speakers, "mean")
    assert voices.speakers == ["a"]
    vectors = model.speaker_vectors(voices, torch.arange(4))
    assert not vectors[[1, 3]].any() and vectors[[0, 2]].any()
    with pytest.raises(UserError, match="no speaker is known by name"):
        Voices.of([x], ["unknown-1"] * 4, "mean")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    folder = tmp_path_factory.mktemp("speaker")
    sets = {name: make_set(folder, name, speakers) for name, speakers in
            {"train": "abcdefgh", "validation": "ijk", "enrol": "lmn", "test": "lmn"}.items()}  # fmt: skip
    tests = [sets[name] for name in ("enrol", "test")]
    return Sources(*sets["train"], *sets["validation"], [t[0] for t in tests], [t[1] for t in tests])


@pytest.mark.parametrize(
    ("representation", "placement", "head"),
    [
        ("none", "last", "interpreter"),
        ("mean", "concatenate", "interpreter"),
        ("embedding", "last", "interpreter"),
        ("projection", "prefix", "transformer"),
    ],
)
def test_experiments_are_trained_saved_and_predicted(sources, tmp_path, representation, placement, head):
    """The validation metric of the chosen epoch is found again in the files that prediction writes."""
    experiment = run(
        configured(SpeakerConfig(representation, placement), head=head), sources, tmp_path / "exp"
    )
    fold = experiment.path / "seed0" / "fold0"
    fit = read_json(fold / "fit.json")
    assert fit["validation_metric"] > 0.2
    assert fit["seconds"] > 0 and fit["peak_memory_mb"] > 0
    saved = SavedModel.load(fold / "model.safetensors")
    assert fit["trained_parameters"] == sum(p.numel() for p in saved.model.parameters())
    truth = DataDir.load(sources.validation_data).attribute("arousal")
    found = ArkReader(fold / "validation" / "pred.scp")
    pairs = np.array([(truth[u], found[u][0]) for u in found])
    assert ccc(*pairs.T) == pytest.approx(fit["validation_metric"], abs=1e-5)
    options = read_yaml(experiment.path / "info.yaml")["options"]
    assert any("transductive" in option for option in options) == (representation != "none")
    if representation != "none":
        with pytest.raises(UserError, match="want a speaker's other audio"):
            Ensemble.load(experiment)


@pytest.mark.parametrize("representation", ["mean", "embedding"])
def test_labels_of_test_speakers_are_not_looked_at(sources, tmp_path, representation):
    config = configured(SpeakerConfig(representation, "concatenate"), head="interpreter")
    first = run(config, sources, tmp_path / "one")
    other = copied(sources, tmp_path / "other")
    for data in other.test_data:
        table = data / "utt2arousal"
        lines = [line.split()[0] + " 4.0" for line in table.read_text().splitlines()]
        table.write_text("\n".join(lines) + "\n")
    second = run(config, other, tmp_path / "two")
    for name in ("model.safetensors", "test/pred.ark"):
        files = [each.path / "seed0" / "fold0" / name for each in (first, second)]
        assert sha256(files[0]) == sha256(files[1])


def test_enrolled_speakers_have_the_vectors_of_the_enrolment_set(sources, tmp_path):
    """Other audio in the test set leaves the rest of it as it is, and the enrolment set is not predicted."""
    config = configured(SpeakerConfig("mean", "concatenate", enrolment="enrol"), head="interpreter")
    experiment = run(config, sources, tmp_path / "exp")
    fold = experiment.path / "seed0" / "fold0"
    assert not (fold / "enrol").exists()
    assert read_yaml(experiment.path / "info.yaml")["options"] == [
        "fixed speaker mean, concatenated, enrolled on enrol"
    ]
    vectors = ArkReader(fold / "test" / "emb.scp")
    own = np.unique([vectors[u][6:] for u in vectors if u.startswith("l-")], axis=0)
    assert len(own) == 1
    saved = SavedModel.load(fold / "model.safetensors")
    means = ArkReader(sources.test_feats[0] / "pooled_mean.scp")
    heard = torch.tensor(np.stack([means[u] for u in means if u.startswith("l-")]))[:, None]
    expected = saved.model.standardiser(heard)[:, 0, 1].mean(0)
    np.testing.assert_allclose(own[0], expected.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (configured(SpeakerConfig("mean", "first")), "ser papt --speaker.fusion first"),
        (configured(SpeakerConfig("mean", "prefix"), head="interpreter"), "only a Transformer reads tokens"),
        (configured(SpeakerConfig("mean", "last", enrolment="nowhere")), "There are: enrol, test"),
        (configured(SpeakerConfig("none", "last", enrolment="enrol")), "without a speaker.representation"),
        (
            configured(SpeakerConfig("embedding", "last", unseen="knn", k=9)),
            "at least 9 training speakers: 8",
        ),
        (configured(SpeakerConfig("mean", "last", width=0)), "speaker.width must be at least 1"),
    ],
)
def test_mistakes(sources, tmp_path, config, words):
    with pytest.raises(UserError) as caught:
        train_experiment(config, sources, Experiment(tmp_path / "exp"))
    assert words in str(caught.value).replace("'", "")


def test_speakers_that_were_standardised_away_are_refused():
    config = configured(SpeakerConfig("mean", "last"))
    config.model.standardise = "speaker"
    with pytest.raises(UserError, match="takes away what tells speakers apart"):
        config.check()


def test_a_transformer_reads_the_order_of_its_tokens():
    model = stir(make(SpeakerConfig(), "transformer"))
    x = features(3)
    assert not torch.allclose(model(x), model(x.flip(1)))
    with pytest.raises(UserError, match="a multiple of 4"):
        UtteranceModel(ModelConfig(head="transformer", hidden=30), SHAPE, 2)
