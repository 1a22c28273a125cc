"""Objectives of classes against plain loops in double precision, and against each other at their limits."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from ser.core.errors import UserError
from ser.core.files import read_json, read_yaml, write_text
from ser.data.datadir import DataDir
from ser.data.table import write_table
from ser.downstream.class_losses import (
    MISSING_CLASS,
    class_loss,
    class_weights,
    share_weights,
    soft_label_loss,
)
from ser.downstream.config import OptimizerConfig, TaskConfig, TrainConfig
from ser.downstream.examples import load_labels
from ser.downstream.experiment import Experiment, Sources
from ser.downstream.finetune.config import FinetuneConfig
from ser.downstream.finetune.fit import labelled
from ser.downstream.losses import task_loss
from ser.downstream.train import train_experiment
from tests.downstream.corpus import CLASSES, make_set

NAN = float("nan")


def batch(seed: int = 0, size: int = 11) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Scores (B, 4), classes (B,), shares (B, 4), class weights (4,), utterance weights (B,), in double."""
    g = torch.Generator().manual_seed(seed)
    scores = 2 * torch.randn(size, 4, generator=g, dtype=torch.float64)
    classes = torch.randint(0, 4, (size,), generator=g)
    votes = torch.randint(0, 4, (size, 4), generator=g).double() + torch.eye(4, dtype=torch.float64)[classes]
    shares = votes / votes.sum(1, keepdim=True)
    classes[3], shares[5] = MISSING_CLASS, NAN
    weights = 0.2 + 2 * torch.rand(4, generator=g, dtype=torch.float64)
    return scores, classes, shares, weights, 3 * torch.rand(size, generator=g, dtype=torch.float64)


def focal_by_hand(scores, classes, weights, utterance_weights, gamma):
    """Value and gradient of the focal loss, one utterance and one class after the other."""
    value, mass, gradient = 0.0, 0.0, np.zeros(scores.shape)
    for i, c in enumerate(classes.tolist()):
        if c == MISSING_CLASS:
            continue
        exps = [math.exp(s) for s in scores[i].tolist()]
        p = [e / sum(exps) for e in exps]
        factor = utterance_weights[i] * weights[c]
        value -= factor * (1 - p[c]) ** gamma * math.log(p[c])
        mass += factor
        for k in range(len(p)):
            by_p = gamma * (1 - p[c]) ** (gamma - 1) * math.log(p[c]) - (1 - p[c]) ** gamma / p[c]
            gradient[i, k] = factor * by_p * p[c] * ((k == c) - p[k])
    return value / mass, gradient / mass


def soft_by_hand(scores, shares, weights, utterance_weights):
    """Value and gradient of the KL divergence, one utterance and one class after the other."""
    value, mass, gradient = 0.0, 0.0, np.zeros(scores.shape)
    for i, q in enumerate(shares.tolist()):
        if any(math.isnan(each) for each in q):
            continue
        exps = [math.exp(s) for s in scores[i].tolist()]
        p = [e / sum(exps) for e in exps]
        for k in range(len(p)):
            factor = utterance_weights[i] * weights[k] * q[k]
            mass += factor
            if q[k]:
                value += factor * math.log(q[k] / p[k])
            for j in range(len(p)):
                gradient[i, j] -= factor * ((j == k) - p[j])
    return value / mass, gradient / mass


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
def test_focal_loss_and_its_gradient_are_those_of_a_plain_loop(gamma: float) -> None:
    scores, classes, _, weights, times = batch()
    scores.requires_grad_()
    loss = class_loss(scores, classes, weights, times, gamma=gamma)
    loss.backward()
    value, gradient = focal_by_hand(scores.detach(), classes, weights.tolist(), times.tolist(), gamma)
    assert loss.item() == pytest.approx(value, abs=1e-12)
    np.testing.assert_allclose(scores.grad.numpy(), gradient, atol=1e-12)
    assert torch.autograd.gradcheck(lambda s: class_loss(s, classes, weights, times, gamma=gamma), scores)


def test_soft_labels_and_their_gradient_are_those_of_a_plain_loop() -> None:
    scores, _, shares, weights, times = batch()
    scores.requires_grad_()
    loss = soft_label_loss(scores, shares, weights, times)
    loss.backward()
    value, gradient = soft_by_hand(scores.detach(), shares, weights.tolist(), times.tolist())
    assert loss.item() == pytest.approx(value, abs=1e-12)
    np.testing.assert_allclose(scores.grad.numpy(), gradient, atol=1e-12)
    assert torch.autograd.gradcheck(lambda s: soft_label_loss(s, shares, weights, times), scores)


@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_gamma_0_is_cross_entropy_to_the_bit(balanced: bool, weighted: bool) -> None:
    for seed in range(10):
        scores, classes, _, weights, times = (each.float() for each in batch(seed))
        classes = classes.long()
        found = []
        for gamma in (None, 0.0):
            x = scores.clone().requires_grad_()
            options = {} if gamma is None else {"gamma": gamma}
            loss = class_loss(
                x, classes, weights if balanced else None, times if weighted else None, **options
            )
            loss.backward()
            found.append((loss, x.grad))
        reference = torch.nn.functional.cross_entropy(
            scores, classes, weights if balanced else None, ignore_index=MISSING_CLASS
        )
        assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
        assert weighted or torch.equal(found[1][0], reference)


def test_focal_loss_near_gamma_0_is_near_cross_entropy() -> None:
    """The general branch, not the shortcut."""
    scores, classes, _, weights, times = batch()
    plain = class_loss(scores, classes, weights, times)
    torch.testing.assert_close(class_loss(scores, classes, weights, times, gamma=1e-9), plain)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_a_sure_model_has_a_finite_focal_gradient(gamma: float) -> None:
    scores = torch.tensor([[200.0, 0.0], [0.0, 200.0], [200.0, 0.0]], requires_grad=True)
    loss = class_loss(scores, torch.tensor([0, 1, 1]), gamma=gamma)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(scores.grad).all()
    assert torch.all(scores.grad[:2] == 0) and torch.all(scores.grad[2] != 0)


@pytest.mark.parametrize("balanced", [True, False])
def test_votes_for_one_class_are_cross_entropy(balanced: bool) -> None:
    scores, classes, _, weights, times = batch()
    shares = torch.eye(4, dtype=torch.float64)[classes.clamp_min(0)]
    shares[classes == MISSING_CLASS] = NAN
    x, y = scores.clone().requires_grad_(), scores.clone().requires_grad_()
    hard = class_loss(x, classes, weights if balanced else None, times)
    soft = soft_label_loss(y, shares, weights if balanced else None, times)
    hard.backward()
    soft.backward()
    torch.testing.assert_close(soft, hard, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(y.grad, x.grad, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(share_weights(shares), class_weights(classes, 4))


def test_kl_is_0_where_the_model_says_what_the_raters_say() -> None:
    _, _, shares, _, _ = batch()
    shares = shares[[0, 1, 2]].clamp_min(0.01)
    shares = shares / shares.sum(1, keepdim=True)
    scores = shares.log().requires_grad_()
    loss = soft_label_loss(scores, shares)
    loss.backward()
    assert abs(loss.item()) < 1e-15
    torch.testing.assert_close(scores.grad, torch.zeros_like(scores), atol=1e-15, rtol=0)


def test_whole_weights_are_repetitions() -> None:
    scores, classes, shares, weights, _ = batch()
    times = torch.tensor([0, 1, 2, 3, 1, 2, 4, 1, 2, 0, 1])

    def both(scores: Tensor, classes: Tensor, shares: Tensor, times: Tensor | None) -> Tensor:
        soft = soft_label_loss(scores, shares, weights, times)
        return torch.stack([class_loss(scores, classes, weights, times, gamma=2), soft])

    repeated = [each.repeat_interleave(times, 0) for each in (scores, classes, shares)]
    torch.testing.assert_close(both(scores, classes, shares, times.double()), both(*repeated, None))


def test_order_and_utterances_without_a_label_change_nothing() -> None:
    scores, classes, shares, weights, times = batch()
    task = TaskConfig(soft_weight=0.7, focal_gamma=1.5, emotion_weight=0.4)
    empty = torch.empty(len(scores), 0, dtype=torch.float64)
    value = task_loss(scores, classes, empty, weights, task, times, shares, weights)
    order = torch.randperm(len(scores), generator=torch.Generator().manual_seed(1))
    parts = [each[order] for each in (scores, classes, empty)]
    again = task_loss(*parts, weights, task, times[order], shares[order], weights)
    torch.testing.assert_close(again, value, rtol=1e-12, atol=0)
    expected = 0.4 * class_loss(scores, classes, weights, times, gamma=1.5)
    torch.testing.assert_close(value, expected + 0.7 * soft_label_loss(scores, shares, weights, times))
    scores = scores.clone().requires_grad_()
    soft_label_loss(scores, shares).backward()
    assert torch.all(scores.grad[5] == 0) and torch.all(scores.grad[3] != 0)


def test_nothing_to_learn_from_gives_zero_and_a_gradient() -> None:
    scores, classes, shares, _, _ = batch()
    scores.requires_grad_()
    nothing = torch.full_like(classes, MISSING_CLASS), torch.full_like(shares, NAN)
    loss = class_loss(scores, nothing[0], gamma=2) + soft_label_loss(scores, nothing[1])
    loss = loss + soft_label_loss(scores, shares, utterance_weights=torch.zeros(len(scores)))
    loss.backward()
    assert loss.item() == 0 and torch.all(scores.grad == 0)


def test_share_weights_count_votes() -> None:
    shares = torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [NAN, NAN, NAN]])
    torch.testing.assert_close(share_weights(shares), torch.tensor([2 / 4.5, 2 / 1.5, 0.0]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"focal_gamma": -1}, "focal_gamma must be at least 0"),
        ({"soft_weight": NAN}, "soft_weight must be at least 0"),
        ({"focal_gamma": 2, "label_smoothing": 0.1}, "pull against each other"),
        ({"emotion": False, "attributes": ["a"], "soft_weight": 1}, "votes are learnt as classes"),
        ({"emotion_weight": 0}, "no loss does it"),
        ({"emotion": False}, "nothing to learn"),
    ],
)
def test_objectives_that_mean_nothing_are_refused(options: dict, message: str) -> None:
    for config in (TrainConfig, FinetuneConfig):
        with pytest.raises(UserError, match=message):
            config(task=TaskConfig(**options)).check()


@pytest.fixture
def voted(tmp_path):
    """A data directory with votes for some utterances, one of which has no class; and its features."""
    data, feats = make_set(tmp_path, "all", list("abcdef"), folds=True)
    classes = DataDir.load(data).classes_of()
    rng = np.random.default_rng(0)
    rows = {u: rng.multinomial(3, [0.2] * 3 + [0.4])[:3] + 4 * np.eye(3, dtype=int)[CLASSES.index(c)]
            for u, c in classes.items()}  # fmt: skip
    without = sorted(rows)[5]
    del rows[without]
    unclear = sorted(rows)[7]
    del classes[unclear]
    write_table(data / "utt2emodist", {u: " ".join(map(str, votes)) for u, votes in sorted(rows.items())})
    write_table(data / "utt2emo", classes)
    text = (data / "labels.yaml").read_text()
    write_text(data / "labels.yaml", text + "complete: []\n")
    return data, feats, without, unclear


def test_votes_are_read_as_shares(voted) -> None:
    data, _, without, unclear = voted
    loaded = DataDir.load(data)
    labels = load_labels([loaded], CLASSES, [], soft=True)
    assert load_labels([loaded], CLASSES, []).shares is None
    [row] = labels.rows([without])
    assert labels.shares[row].isnan().all()
    known = torch.ones(len(labels), dtype=torch.bool)
    known[row] = False
    torch.testing.assert_close(labels.shares[known].sum(1), torch.ones(int(known.sum())))
    votes = torch.tensor([float(v) for v in loaded.tables["utt2emodist"][unclear].split()])
    torch.testing.assert_close(labels.shares[labels.rows([unclear])[0]], votes / votes.sum())
    assert unclear in labelled([without, unclear], labels)
    labels.shares = None
    assert labelled([without, unclear], labels) == [without]


@pytest.mark.parametrize("emotion_weight", [0.0, 1.0])
def test_training_on_votes_learns(voted, tmp_path, emotion_weight: float) -> None:
    data, feats, *_ = voted
    task = TaskConfig(attributes=["arousal"], soft_weight=1, emotion_weight=emotion_weight, focal_gamma=1)
    config = TrainConfig(task=task, optimizer=OptimizerConfig(epochs=15, lr=0.02))
    experiment = Experiment(tmp_path / "exp")
    train_experiment(config, Sources(data, feats), experiment, only_fold="a")
    fit = read_json(experiment.fold_dir(0, "a") / "fit.json")
    assert fit["validation_metric"] > 0.6  # chance: UAR 1/3 and CCC 0
    options = read_yaml(experiment.path / "info.yaml")["options"]
    assert ("soft labels alone (KL)" if not emotion_weight else "soft labels (KL)") in options
    (data / "utt2emodist").unlink()
    with pytest.raises(UserError, match="no votes to learn from"):
        train_experiment(config, Sources(data, feats), experiment, only_fold="a")
