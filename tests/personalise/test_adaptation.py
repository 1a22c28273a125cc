"""Adaptation to test speakers: what strategies have in common, and what is never looked at."""

import dataclasses
import shutil
from pathlib import Path

import pytest
import torch

from ser.core.files import read_json, write_text
from ser.downstream.config import OptimizerConfig, TaskConfig, TrainConfig
from ser.downstream.experiment import Experiment
from ser.downstream.fit import Fit, pooled_metric
from ser.downstream.train import train_experiment
from ser.personalise.adaptation import AdaptationConfig, adapt, adaptation_set
from ser.personalise.adapted import Adaptation
from ser.personalise.starts import Starts, load_starts
from tests.downstream.corpus import moved
from tests.personalise.experiments import CONFIG, QUICK, adapted_to, functionals_of, trained

FULL_BATCH = OptimizerConfig(lr=0.01, epochs=4, batch_size=10**6)


def starts_of(experiment: Experiment, fold: str = "0") -> tuple[Adaptation, Starts]:
    work = Adaptation(experiment, functionals_of(experiment), QUICK)
    folder = experiment.fold_dir(0, fold)
    fit = read_json(folder / "fit.json")
    path = folder / "model.safetensors"
    accelerator = work.accelerator
    starts = load_starts(path, fit, work.folds[fold], work.training, work.task, work.examples, accelerator)
    return work, starts


def state(work: Adaptation, starts: Starts, counts, **options) -> dict[str, torch.Tensor]:
    """The model that adaptation with given c_r makes."""
    config = dataclasses.replace(QUICK, **options)
    found = adapt(starts, lambda among: counts, config, work.task, work.examples, 3, work.accelerator)
    return found.model.model.state_dict()


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one | other)


@pytest.mark.parametrize("crossing", [False, True])
def test_selected_once_each_oversampling_is_unique(fixed, crossed, crossing: bool):
    work, starts = starts_of(crossed, "c") if crossing else starts_of(fixed)
    once = dict.fromkeys("abcdef", 1)
    unique, oversampled = (state(work, starts, once, strategy=s) for s in ("unique", "oversampling"))
    assert same(unique, oversampled)
    assert not same(unique, starts.model.model.state_dict())
    assert not same(oversampled, state(work, starts, once | {"a": 2, "b": 3}, strategy="oversampling"))


def test_lambda_zero_is_no_weighting_and_goes_on_training(fixed):
    work, starts = starts_of(fixed)
    counts = {"a": 3, "b": 0, "c": 1, "d": 2}
    unweighted = state(work, starts, counts, strategy="weighting", weight=0.0)
    assert same(unweighted, state(work, starts, dict.fromkeys("abcd", 0), strategy="weighting"))
    assert same(unweighted, state(work, starts, dict.fromkeys("abcd", 1), strategy="unique"))
    assert not same(unweighted, state(work, starts, counts, strategy="weighting"))


def test_weights_of_one_train_the_same_model_to_the_bit(fixed):
    work, starts = starts_of(fixed)
    states = []
    for weights in (None, torch.ones(len(work.examples))):
        fit = Fit(starts.config, work.task, work.examples, starts.splits[0][0], 0, work.accelerator,
                  starts.model, weights)  # fmt: skip
        assert len(list(fit.epochs())) == starts.config.optimizer.epochs
        states.append(fit.result.model.state_dict())
    # Classes are learnt too here, whose weighted mean rounds in another order.
    for name in states[0]:
        torch.testing.assert_close(*(each[name] for each in states), rtol=1e-4, atol=1e-5)
    attributes = TrainConfig(task=TaskConfig(emotion=False, attributes=["arousal"]), optimizer=FULL_BATCH)
    task = dataclasses.replace(work.task, classes=[])
    runs = []
    for weights in (None, torch.ones(len(work.examples))):
        fit = Fit(attributes, task, work.examples, starts.splits[0][0], 0, work.accelerator, None, weights)
        list(fit.epochs())
        runs.append(fit.result.model.state_dict())
    assert same(*runs)


def test_on_a_whole_batch_weighting_is_repeating_one_time_more(fixed):
    work, starts = starts_of(fixed)
    rows = starts.splits[0][0]
    counts = {"a": 3, "b": 0, "c": 1, "d": 2}
    _, weights = adaptation_set(rows, work.examples.speakers, counts, AdaptationConfig())
    more = {speaker: 1 + count for speaker, count in counts.items()}
    repeated, _ = adaptation_set(
        rows, work.examples.speakers, more, AdaptationConfig(strategy="oversampling")
    )
    assert len(repeated) == sum(12 * count for count in more.values())
    config = dataclasses.replace(CONFIG, task=TaskConfig(class_weights="none", attributes=["arousal"]),
                                 optimizer=FULL_BATCH)  # fmt: skip
    states = []
    for which, weighted in ((rows, weights), (repeated, None)):
        fit = Fit(config, work.task, work.examples, which, 0, work.accelerator, starts.model, weighted)
        list(fit.epochs())
        states.append(fit.result.model.state_dict())
    for name in states[0]:
        torch.testing.assert_close(*(each[name] for each in states), rtol=1e-3, atol=1e-4)


def test_unselected_speakers_are_left_out_or_weigh_one():
    rows, speakers = torch.tensor([0, 1, 2, 3]), ["a", "b", "unknown-1", "c"]
    counts = {"a": 2, "b": 0, "c": 1}

    def of(strategy: str) -> tuple:
        return adaptation_set(rows, speakers, counts, AdaptationConfig(strategy=strategy, weight=0.5))

    assert of("unique")[0].tolist() == [0, 3]
    assert of("oversampling")[0].tolist() == [0, 0, 3]
    assert of("weighting")[0].tolist() == [0, 1, 2, 3]
    assert of("weighting")[1].tolist() == [2.0, 1.0, 1.0, 1.5]


def test_inner_folds_models_are_those_that_validation_saw(crossed):
    for fold in ("a", "e"):
        work, starts = starts_of(crossed, fold)
        fits = [
            Fit(starts.config, work.task, work.examples, learn, 0, work.accelerator, model)
            for model, (learn, _) in zip(starts.models, starts.splits, strict=True)
        ]
        recorded = read_json(crossed.fold_dir(0, fold) / "fit.json")
        found = pooled_metric(fits, [validate for _, validate in starts.splits])
        assert found == pytest.approx(recorded["validation_metric"], abs=1e-6)
        speakers = [{work.examples.speakers[row] for row in rows} for rows in starts.splits[0]]
        assert not speakers[0] & speakers[1] and fold not in speakers[0] | speakers[1]


@pytest.mark.parametrize("crossing", [False, True])
@pytest.mark.parametrize("per_speaker", [False, True])
def test_labels_of_test_speakers_change_no_bit(tmp_path: Path, crossing: bool, per_speaker: bool):
    config = dataclasses.replace(QUICK, per_speaker=per_speaker)
    found = []
    for name in ("one", "other"):
        folder = tmp_path / name
        experiment = trained(folder, crossed=crossing)
        if name == "other":
            shutil.rmtree(experiment.path)
            data = folder / "data" / ("all" if crossing else "two")
            for table, wrong in (("utt2arousal", "1.5"), ("utt2emo", "sad")):
                lines = [line.split() for line in (data / table).read_text().splitlines()]
                mine = "c-" if crossing else "j-"
                text = "".join(f"{u} {wrong if u.startswith(mine) else v}\n" for u, v in lines)
                assert text != (data / table).read_text()
                write_text(data / table, text)
            config_of = found[0][0].load_config()
            sources = moved(config_of[1], tmp_path / "one", folder)
            train_experiment(config_of[0], sources, experiment, only_fold="c" if crossing else None)
        out = adapted_to(experiment, folder / "exp" / "adapted", config)
        found.append((experiment, out.fold_dir(0, "c" if crossing else "0")))
    models = [sorted(folder.rglob("*.safetensors")) for _, folder in found]
    assert len(models[0]) == (1 if not per_speaker or crossing else 3)
    for one, other in zip(*models, strict=True):
        assert one.name == other.name and one.read_bytes() == other.read_bytes()
