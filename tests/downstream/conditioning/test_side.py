"""Models on features that are told of gender and words: fusion, what is unknown, training, mistakes."""

import math
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from ser.core.errors import UserError
from ser.core.files import read_json, read_yaml, sha256, write_text, write_yaml
from ser.data.arks import ArkReader, ArkWriter
from ser.data.datadir import DataDir
from ser.downstream.conditioning.gender import GenderBranch
from ser.downstream.conditioning.side import FEMALE, MALE, UNKNOWN, Side
from ser.downstream.conditioning.side_config import GenderConfig, SideOptions, TextConfig
from ser.downstream.conditioning.speaker_config import SpeakerConfig
from ser.downstream.config import ModelConfig, TaskConfig
from ser.downstream.dependence import check_options
from ser.downstream.ensemble import Ensemble
from ser.downstream.experiment import Experiment, Sources, training_fingerprint
from ser.downstream.model import UtteranceModel
from ser.downstream.saved import SavedModel
from ser.downstream.train import train_experiment
from ser.metrics.continuous import ccc
from tests.downstream.conditioning import experiments
from tests.downstream.conditioning.experiments import SHAPE, features, run, stir
from tests.downstream.corpus import copied, make_set

WORDS = 8
# Layer 0 of the made-up corpus is noise (tests.downstream.corpus): what is learnt is told.
configured = partial(experiments.configured, epochs=12, layer=0, pooling="mean+std")
HEADS = ("linear", "superb", "mlp", "interpreter", "transformer")
OPTIONS = [
    SideOptions(GenderConfig(fusion, source), TextConfig(text, width=8), WORDS if text != "none" else 0)
    for fusion, source, text in (
        ("concatenate", "true", "none"), ("add", "true", "none"), ("film", "true", "none"),
        ("concatenate", "predicted", "none"), ("film", "predicted", "concatenate"),
        ("none", "true", "concatenate"), ("none", "true", "cross_attention"),
        ("add", "predicted", "cross_attention"),
    )
]  # fmt: skip


def told(n: int = 12) -> Side:
    """Gender and text of n utterances, some of each unknown."""
    generator = torch.Generator().manual_seed(1)
    text = torch.randn(n, WORDS, generator=generator)
    text[::4] = math.nan
    return Side(torch.arange(n) % 3, text)


def make(
    side: SideOptions | None, head: str = "linear", speaker: SpeakerConfig | None = None
) -> UtteranceModel:
    torch.manual_seed(0)
    config = ModelConfig(pooling="std_per_layer", head=head, hidden=16)
    return UtteranceModel(config, SHAPE, 2, speaker, ["a", "b"], side).eval()


def name(options: SideOptions) -> str:
    return f"{options.gender.fusion}-{options.gender.source}-{options.text.fusion}"


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("options", OPTIONS, ids=name)
def test_training_starts_from_the_model_that_is_told_nothing(options, head):
    """With a last layer that says something: the rest of the head is the plain model's."""
    plain, model = make(None, head), make(options, head)
    for each in (plain, model):
        torch.manual_seed(1)
        if head == "linear":  # its first layer, which is widened, is its last
            each.head[1].weight.data[:, :8] = torch.randn(2, 8)
        elif head != "transformer":
            torch.nn.init.normal_([*each.head.parameters()][-2])
        elif not model.side.widths:
            torch.nn.init.normal_(each.head.last.weight)
    # A token more takes its share of a Transformer's attention: there, every score being 0 is the start.
    torch.testing.assert_close(model(features(), side=told()), plain(features()))


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("options", OPTIONS, ids=name)
def test_every_part_learns_from_that_start(options, head):
    """No zero times zero: after four steps, every parameter of the branch has moved."""
    model = make(options, head).train()
    before = {key: value.clone() for key, value in model.side.named_parameters()}
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    target = torch.randn(12, 2, generator=torch.Generator().manual_seed(2))
    for _ in range(4):
        x = model.standardiser(features())
        scores = model.head(model.merge(x, side=told()))
        loss = (scores - target).square().mean() + model.side_loss(x, told())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    still = [key for key, value in model.side.named_parameters() if torch.equal(value, before[key])]
    assert not still


@pytest.mark.parametrize("options", OPTIONS, ids=name)
def test_an_utterance_depends_on_its_own_side_information_in_any_batch(options):
    model, x, side = stir(make(options, "mlp")), features(), told()
    whole = model(x, side=side).detach()
    rows = torch.randperm(12, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(model(x[rows], side=side.take(rows)), whole[rows])
    for row in (0, 1, 5):
        one = torch.tensor([row])
        torch.testing.assert_close(model(x[one], side=side.take(one)), whole[one], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("options", OPTIONS, ids=name)
def test_nothing_told_is_everything_unknown(options):
    model = stir(make(options, "mlp"))
    unknown = Side(torch.full((12,), UNKNOWN), torch.full((12, WORDS), math.nan))
    assert torch.equal(model(features()), model(features(), side=unknown))
    changed = not torch.allclose(model(features()), model(features(), side=told()))
    # Predicted from audio, gender is not asked of anybody.
    assert changed == (options.gender.source == "true" or options.text.fusion != "none")


def test_missing_text_is_the_learned_vector_whatever_stands_beside_it():
    model = stir(make(SideOptions(text=TextConfig("concatenate"), text_dim=WORDS)))
    model.side.text.embedding.fit(told().text)
    beside = model.embed(features(), side=told())[:, -WORDS:]
    assert torch.equal(beside[::4], model.side.text.embedding.no_text.expand(3, -1))
    known = torch.cat([beside[1::4], beside[2::4], beside[3::4]])
    torch.testing.assert_close(known.mean(0), torch.zeros(WORDS), atol=1e-5, rtol=0)
    torch.testing.assert_close(known.std(0, correction=0), torch.ones(WORDS))


def test_the_equations_of_gender():
    """x + p E, and (1 + p G) x + p E, with p one-hot, and the posterior of the classifier."""
    x = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    gender = torch.tensor([FEMALE, MALE, UNKNOWN])
    for source in ("true", "predicted"):
        branch = GenderBranch(GenderConfig("film", source), 8).eval()
        for parameter in branch.parameters():
            torch.nn.init.normal_(parameter)
        found, beside = branch(x, gender)
        for row in range(3):
            p = torch.eye(3)[gender[row]]
            if source == "predicted":
                p = (branch.classifier.weight @ x[row] + branch.classifier.bias).softmax(0)
            expected = (1 + p @ branch.scale) * x[row] + p @ branch.shift
            torch.testing.assert_close(found[row], expected)
        assert beside.shape == (3, 0)
    assert branch.train().shares(x, gender)[:2].tolist() == [[1, 0], [0, 1]]
    torch.testing.assert_close(branch.shares(x, gender)[2], branch.eval().shares(x, gender)[2])


def test_hiding_is_drawn_by_the_generator_alone():
    options = SideOptions(GenderConfig("add", hide=0.5), TextConfig("concatenate", hide=0.25), WORDS)
    side = Side(torch.zeros(4000, dtype=torch.long), torch.ones(4000, WORDS))
    one, two = (side.hidden(options, torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(one.gender, two.gender) and torch.equal(one.text.isnan(), two.text.isnan())
    assert (one.gender == UNKNOWN).float().mean() == pytest.approx(0.5, abs=0.03)
    assert one.text.isnan().all(1).float().mean() == pytest.approx(0.25, abs=0.03)
    assert not side.text.isnan().any()


@pytest.mark.parametrize("placement", ["last", "concatenate"])
def test_it_composes_with_speaker_vectors(placement):
    speaker = SpeakerConfig("projection", placement)
    options = SideOptions(GenderConfig("film"), TextConfig("concatenate"), WORDS)
    model = stir(make(options, "mlp", speaker))
    vectors = torch.ones(12, 8)
    embedded = model.embed(features(), vectors, told())
    assert embedded.shape == (12, (8 if placement == "last" else 16) + WORDS)
    assert torch.equal(embedded[:, -WORDS:], model.embed(features(), 2 * vectors, told())[:, -WORDS:])


def planted(folder: Path, name: str, speakers: str, text_of: float = 1.0) -> tuple[Path, Path, Path]:
    """A set whose arousal is in the words too, and whose women's features are shifted against the men's."""
    data, feats = make_set(folder, name, list(speakers), frame_rate=50.0)
    loaded = DataDir.load(data)
    arousal = loaded.attribute("arousal")
    rng = np.random.default_rng([1, *name.encode()])
    gender = {speaker: "fm"[ord(speaker) % 2] for speaker in sorted(speakers)}
    write_text(data / "spk2gender", "".join(f"{key} {value}\n" for key, value in gender.items()))
    text = folder / "feats" / "words" / name
    text.mkdir(parents=True)
    with ArkWriter(text / "embedding") as writer:
        for utterance in loaded.utterances:
            if rng.random() < text_of:
                vector = 0.05 * rng.normal(size=WORDS)
                vector[2] += 0.1 * (arousal[utterance] - 4)
                writer.write(utterance, vector.astype(np.float32))
    write_yaml(text / "meta.yaml", {"encoder": "hf:words", "tag": "words", "fingerprint": name})
    return data, feats, text


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    folder = tmp_path_factory.mktemp("side")
    train, validation, test = (
        planted(folder, name, speakers, 0.9)
        for name, speakers in (("train", "abcdefgh"), ("validation", "ijkl"), ("test", "mnop"))
    )
    words = {"text_feats": train[2], "validation_text_feats": validation[2], "test_text_feats": [test[2]]}
    return Sources(*train[:2], *validation[:2], [test[0]], [test[1]], **words)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (configured(GenderConfig("film")), ["gender (true), by FiLM"]),
        (
            configured(GenderConfig("concatenate", "predicted"), head="mlp"),
            ["gender (predicted), concatenated"],
        ),
        (configured(TextConfig("concatenate")), ["text, concatenated"]),
        (
            configured(GenderConfig("add"), TextConfig("cross_attention", width=8), head="interpreter"),
            ["gender (true), added", "text, cross-attention"],
        ),
    ],
)
def test_experiments_are_trained_saved_and_predicted(sources, tmp_path, config, words):
    """The validation metric is found again in the predictions, and doing it again changes no byte."""
    experiment = run(config, sources, tmp_path / "exp")
    fold = experiment.path / "seed0" / "fold0"
    fit = read_json(fold / "fit.json")
    truth = DataDir.load(sources.validation_data).attribute("arousal")
    found = ArkReader(fold / "validation" / "pred.scp")
    pairs = np.array([(truth[u], found[u][0]) for u in found])
    assert ccc(*pairs.T) == pytest.approx(fit["validation_metric"], abs=1e-5)
    saved = SavedModel.load(fold / "model.safetensors")
    assert (asdict(saved.side.gender), asdict(saved.side.text)) == (
        asdict(config.gender),
        asdict(config.text),
    )
    assert read_yaml(experiment.path / "info.yaml")["options"] == words
    again = run(config, sources, tmp_path / "again")
    for file in ("model.safetensors", "test/pred.ark"):
        assert sha256(fold / file) == sha256(again.path / "seed0" / "fold0" / file)


def test_words_that_carry_the_label_raise_ccc(sources, tmp_path):
    """Layer 0 is noise: whatever is predicted comes from the text."""
    values = []
    for number, config in enumerate((configured(), configured(TextConfig("concatenate")))):
        experiment = run(config, sources, tmp_path / str(number))
        truth = DataDir.load(sources.test_data[0]).attribute("arousal")
        found = ArkReader(experiment.path / "seed0" / "fold0" / "test" / "pred.scp")
        values.append(ccc(*np.array([(truth[u], found[u][0]) for u in found]).T))
    assert values[1] - values[0] > 0.3


def test_off_is_bit_equal_with_or_without_embeddings(sources, tmp_path):
    """And what older releases have trained stays trained: the fingerprint knows of no group that is off."""
    plain = replace(sources, text_feats=None, validation_text_feats=None, test_text_feats=[])
    one, two = (run(configured(), each, tmp_path / n) for n, each in (("one", plain), ("two", sources)))
    files = [each.path / "seed0" / "fold0" / "model.safetensors" for each in (one, two)]
    assert sha256(files[0]) == sha256(files[1])
    assert "side" not in SavedModel.load(files[0]).model.state_dict()
    narrower = configured(GenderConfig(width=3), TextConfig(width=4))
    assert training_fingerprint(configured(), "x") == training_fingerprint(narrower, "x")
    assert training_fingerprint(configured(), "x") != training_fingerprint(
        configured(GenderConfig("add")), "x"
    )


def test_audio_of_ones_own_is_predicted_without_gender_and_text(sources, tmp_path, caplog):
    config = configured(GenderConfig("add"), TextConfig("concatenate"))
    experiment = run(config, sources, tmp_path / "exp")
    ensemble = Ensemble.load(experiment)
    assert "unknown gender stands in" in caplog.text and "'no text' stands in" in caplog.text
    assert ensemble.predict(torch.randn(2, 2, 3, 6)).isfinite().all()


def test_a_test_set_without_any_words_is_met_with_no_text(sources, tmp_path):
    silent = copied(sources, tmp_path)
    for ending in ("ark", "scp"):
        write_text(silent.test_text_feats[0] / f"embedding.{ending}", "")
    found = run(configured(TextConfig("concatenate")), silent, tmp_path / "exp")
    heard = ArkReader(found.path / "seed0" / "fold0" / "test" / "emb.scp")
    saved = SavedModel.load(found.path / "seed0" / "fold0" / "model.safetensors")
    no_text = saved.model.side.text.embedding.no_text.detach().numpy()
    assert all(np.allclose(vector[-WORDS:], no_text, atol=1e-6) for vector in heard.values())
    nothing = replace(silent, text_feats=silent.test_text_feats[0])
    with pytest.raises(UserError, match="no training utterance has a transcript"):
        train_experiment(configured(TextConfig("concatenate")), nothing, Experiment(tmp_path / "no"))


def test_data_that_do_not_tell(sources, tmp_path):
    told_gender, told_text = configured(GenderConfig("add")), configured(TextConfig("concatenate"))

    def refused(config, sources, words):
        with pytest.raises(UserError) as caught:
            train_experiment(config, sources, Experiment(tmp_path / "exp"))
        assert words in str(caught.value)

    bad = copied(sources, tmp_path / "a")
    table = bad.data / "spk2gender"
    table.write_text(table.read_text().replace(" f", " ж"), encoding="utf-8")
    refused(told_gender, bad, "spk2gender")
    table.write_text("".join(f"{line.split()[0]} f\n" for line in table.read_text().splitlines()))
    refused(told_gender, bad, "only one gender in the training set")
    table.unlink()
    refused(told_gender, bad, "no gender is known in the training set")
    bad = copied(sources, tmp_path / "b")
    (bad.test_data[0] / "spk2gender").unlink()
    for source in ("true", "predicted"):
        found = run(configured(GenderConfig("film", source)), bad, tmp_path / source)
        assert (found.path / "seed0" / "fold0" / "test" / "pred.scp").is_file()
    (bad.validation_text_feats / "meta.yaml").unlink()
    refused(told_text, bad, "no embeddings of transcripts")
    refused(told_text, replace(sources, validation_text_feats=None), "of every set, or of none")
    nothing = replace(sources, text_feats=None, validation_text_feats=None, test_text_feats=[])
    refused(told_text, nothing, "text.fusion wants embeddings")
    refused(told_text, replace(sources, text_feats=sources.validation_text_feats), "other utterances")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (configured(GenderConfig("add", hide=1.0)), "gender.hide must be at least 0 and less than 1"),
        (configured(GenderConfig("add", weight=0)), "gender.weight must be positive"),
        (configured(TextConfig("cross_attention", width=6)), "text.width must be a multiple of 4"),
        (configured(GenderConfig("add", "predicted"), standardise="speaker"), "takes away what tells gender"),
    ],
)
def test_options_that_mean_nothing(config, words):
    with pytest.raises(UserError) as caught:
        config.check()
    assert words in str(caught.value)


def test_validation_of_classes_that_nobody_trained(sources, tmp_path):
    bad = copied(sources, tmp_path)
    table = bad.data / "utt2emo"
    table.write_text(table.read_text().replace(" sad", " calm"))
    config = replace(configured(), task=TaskConfig())
    with pytest.raises(
        UserError, match="classes of the validation set that no training utterance has: 'sad'"
    ):
        train_experiment(config, bad, Experiment(tmp_path / "exp"))


def test_attention_needs_a_choice_and_the_curve_of_speakers_hears_audio_alone():
    options = SideOptions(text=TextConfig("cross_attention"), text_dim=WORDS)
    with pytest.raises(UserError, match="chooses among layers and statistics, and here is one"):
        UtteranceModel(ModelConfig(), (1, 1, 4), 2, side=options)
    with pytest.raises(UserError, match="hear audio alone"):
        check_options(configured(GenderConfig("add")), [2], 1, 0.3)
