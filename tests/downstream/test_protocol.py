"""Who validates, who is told to, and how long an epoch is."""

import random
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

from ser.core.errors import UserError
from ser.core.files import read_json, read_yaml
from ser.downstream.config import OptimizerConfig, TrainConfig, ValidationConfig
from ser.downstream.experiment import Experiment, Sources
from ser.downstream.protocol import Fold, Part, describe, validation_splits
from ser.downstream.train import train_experiment
from ser.engine.loop import train_epochs
from tests.downstream.corpus import make_set

SPEAKER_OF = {f"{speaker}-{number:02d}": speaker for speaker in "abcd" for number in range(25)}
TRAIN = [utterance for utterance in SPEAKER_OF if not utterance.startswith("d")]
FOLD = Fold("d", Part("train", TRAIN), tests={"test": Part("train", [u for u in SPEAKER_OF if u[0] == "d"])})
BY_UTTERANCES = ValidationConfig(method="utterances", share=0.2)


@pytest.mark.parametrize("seed", range(5))
def test_random_utterances_are_a_share_of_the_training_part_and_nothing_else(seed: int) -> None:
    [(learn, validate)] = validation_splits(FOLD, SPEAKER_OF, BY_UTTERANCES, seed)
    assert sorted(learn + validate) == sorted(TRAIN)
    assert not set(learn) & set(validate)
    assert len(validate) == round(0.2 * len(TRAIN))
    assert {SPEAKER_OF[u] for u in validate} == {SPEAKER_OF[u] for u in learn} == set("abc")


def test_random_utterances_follow_the_seed_and_not_the_order() -> None:
    shuffled = random.Random(0).sample(TRAIN, len(TRAIN))
    other = Fold("d", Part("train", shuffled), tests=FOLD.tests)
    first, second = (validation_splits(fold, SPEAKER_OF, BY_UTTERANCES, 0)[0][1] for fold in (FOLD, other))
    assert sorted(first) == sorted(second)
    assert sorted(first) != sorted(validation_splits(FOLD, SPEAKER_OF, BY_UTTERANCES, 1)[0][1])


@pytest.mark.parametrize(("count", "share"), [(2, 0.0), (2, 0.99), (3, 0.01)])
def test_both_sides_have_an_utterance(count: int, share: float) -> None:
    fold = Fold("d", Part("train", TRAIN[:count]), tests=FOLD.tests)
    config = ValidationConfig(method="utterances", share=share)
    [(learn, validate)] = validation_splits(fold, SPEAKER_OF, config, 0)
    assert learn
    assert validate


def test_one_utterance_cannot_be_divided() -> None:
    fold = Fold("d", Part("train", TRAIN[:1]), tests=FOLD.tests)
    with pytest.raises(UserError, match=r"two training utterances: 'fold d'"):
        validation_splits(fold, SPEAKER_OF, BY_UTTERANCES, 0)


def test_the_protocol_says_that_validation_shares_speakers() -> None:
    assert describe([FOLD], SPEAKER_OF, BY_UTTERANCES) == (
        "leave-one-speaker-out, 1 folds, validation shares speakers"
    )
    for method in ("held_out", "inner_folds"):
        assert "shares" not in describe([FOLD], SPEAKER_OF, ValidationConfig(method=method))
    own_set = Fold("0", Part("train", TRAIN[:50]), Part("validation", TRAIN[50:]), FOLD.tests)
    assert "shares" not in describe([own_set], SPEAKER_OF, BY_UTTERANCES)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    return Sources(*make_set(tmp_path_factory.mktemp("corpus"), "all", list("abcd"), folds=True))


def trained(corpus: Sources, folder: Path, **options) -> tuple[dict, bytes]:
    """fit.json and the model of fold a."""
    experiment = Experiment(folder)
    optimizer = OptimizerConfig(lr=0.02, batch_size=8, patience=99, **options)
    config = TrainConfig(optimizer=optimizer, validation=BY_UTTERANCES)
    train_experiment(config, corpus, experiment, only_fold="a")
    assert read_yaml(folder / "info.yaml")["protocol"].endswith("validation shares speakers")
    fold = experiment.fold_dir(0, "a")
    return read_json(fold / "fit.json"), (fold / "model.safetensors").read_bytes()


def test_an_epoch_of_as_many_steps_as_a_pass_is_a_pass(corpus: Sources, tmp_path: Path) -> None:
    passes, model = trained(corpus, tmp_path / "passes", epochs=4)
    learnt = round(
        0.8 * sum(not u.startswith("a") for u in (corpus.data / "utt2spk").read_text().split("\n")[:-1])
    )
    steps = -(-learnt // 8)
    counted, same = trained(corpus, tmp_path / "steps", epochs=4, epoch_steps=steps)
    assert [point["validation_metric"] for point in counted["curve"]] == [
        point["validation_metric"] for point in passes["curve"]
    ]
    assert same == model
    # Twice as many validations, at half the distance: every second is one of those above.
    halves, _ = trained(corpus, tmp_path / "halves", epochs=8, epoch_steps=steps // 2)
    assert steps % 2 == 0
    metrics = [point["validation_metric"] for point in halves["curve"]]
    assert metrics[1::2] == [point["validation_metric"] for point in passes["curve"]]
    assert passes["validation_speakers"] == ["b", "c", "d"]


def test_clipping_limits_a_step_and_leaves_short_gradients_alone() -> None:
    def moved(clipping: float) -> float:
        model = torch.nn.Linear(3, 1, bias=False)
        with torch.no_grad():
            model.weight.zero_()
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        batch = torch.tensor([[3.0, 4.0, 0.0]])  # the gradient of the loss below, of norm 5
        run = train_epochs(
            model, optimizer, lambda: [batch], lambda m, x: m(x).sum(), Accelerator(), 1, clipping
        )
        assert len(list(run)) == 1
        return float(model.weight.detach().norm())

    assert moved(0) == pytest.approx(5)
    assert moved(10) == pytest.approx(5)
    assert moved(1) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", ["epoch_steps", "gradient_clipping"])
def test_negative_numbers_are_refused(name: str) -> None:
    with pytest.raises(UserError, match=rf"optimizer\.{name} must be at least 0"):
        TrainConfig(optimizer=OptimizerConfig(**{name: -1})).check()
