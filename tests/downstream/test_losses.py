"""Objectives against audmetric and scikit-learn, and with missing labels."""

import audmetric
import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from ser.downstream.class_losses import MISSING_CLASS, class_weights
from ser.downstream.config import TaskConfig
from ser.downstream.losses import ccc_loss, concordance_cc, task_loss

NAN = float("nan")


def test_ccc_equals_audmetric() -> None:
    rng = np.random.default_rng(0)
    for shift, scale in ((0, 1), (3, 1), (0, 5), (100, 0.1)):
        x = rng.normal(size=40)
        y = shift + scale * (x + rng.normal(size=40))
        found = float(concordance_cc(torch.tensor(x), torch.tensor(y)))
        assert found == pytest.approx(audmetric.concordance_cc(y, x), abs=1e-9)


def test_ccc_is_not_the_mean_of_its_parts() -> None:
    """Why CCC must see the whole batch."""
    x, y = torch.randn(2, 64, generator=torch.Generator().manual_seed(0))
    parts = torch.stack([concordance_cc(a, b) for a, b in zip(x.split(8), y.split(8), strict=True)])
    assert abs(float(parts.mean() - concordance_cc(x, y))) > 1e-3


def test_a_constant_batch_has_a_finite_gradient() -> None:
    x = torch.ones(5, 1, requires_grad=True)
    loss = ccc_loss(x, torch.ones(5, 1))
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(x.grad).all()


def test_missing_attributes_count_for_nothing() -> None:
    outputs = torch.randn(6, 2, requires_grad=True)
    targets = torch.rand(6, 2)
    targets[[1, 4], 0] = NAN
    kept = [0, 2, 3, 5]
    expected = (
        2 - concordance_cc(outputs[kept, 0], targets[kept, 0]) - concordance_cc(*_second(outputs, targets))
    ) / 2
    loss = ccc_loss(outputs, targets)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert torch.all(outputs.grad[[1, 4], 0] == 0) and torch.isfinite(outputs.grad).all()


def _second(outputs: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return outputs[:, 1], targets[:, 1]


def test_nothing_labelled_gives_zero_and_a_gradient() -> None:
    outputs = torch.randn(4, 3, requires_grad=True)
    loss = task_loss(
        outputs, torch.full((4,), MISSING_CLASS), torch.full((4, 1), NAN), None, TaskConfig(attributes=["a"])
    )
    loss.backward()
    assert loss.item() == 0 and torch.all(outputs.grad == 0)


def test_class_weights_equal_scikit_learns() -> None:
    classes = torch.tensor([0, 0, 0, 1, 2, 2, MISSING_CLASS])
    known = classes[:-1].numpy()
    expected = compute_class_weight("balanced", classes=np.arange(3), y=known)
    np.testing.assert_allclose(class_weights(classes, 3), expected, rtol=1e-6)
    assert class_weights(classes, 4)[3] == 0


def test_cross_entropy_by_hand() -> None:
    outputs, classes = torch.randn(5, 3), torch.tensor([0, 2, 1, MISSING_CLASS, 2])
    weights = torch.tensor([1.0, 2.0, 3.0])
    logs = outputs.log_softmax(1)
    rows = [0, 1, 2, 4]
    by_hand = -sum(weights[classes[i]] * logs[i, classes[i]] for i in rows) / sum(
        weights[classes[i]] for i in rows
    )
    found = task_loss(outputs, classes, torch.empty(5, 0), weights, TaskConfig())
    torch.testing.assert_close(found, by_hand)


def test_both_tasks_add_up() -> None:
    outputs, classes, targets = torch.randn(8, 4), torch.randint(0, 3, (8,)), torch.rand(8, 1)
    task = TaskConfig(attributes=["a"], attribute_weight=0.5)
    both = task_loss(outputs, classes, targets, None, task)
    emotion = task_loss(outputs[:, :3], classes, torch.empty(8, 0), None, task)
    attributes = task_loss(outputs[:, 3:], classes, targets, None, task)
    torch.testing.assert_close(both, emotion + 0.5 * attributes)


def _scattered(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Outputs (9, 5), classes (9,) and targets (9, 2), some of them missing."""
    generator = torch.Generator().manual_seed(seed)
    outputs = torch.randn(9, 5, generator=generator)
    classes, targets = torch.randint(0, 3, (9,), generator=generator), torch.randn(9, 2, generator=generator)
    classes[4], targets[2, 0], targets[7, 1] = MISSING_CLASS, NAN, NAN
    return outputs, classes, targets


def test_weights_of_one_are_no_weights_to_the_bit() -> None:
    for seed in range(20):
        outputs, _, targets = _scattered(seed)
        found = []
        for weights in (None, torch.ones(9)):
            x = outputs[:, 3:].clone().requires_grad_()
            loss = ccc_loss(x, targets, weights)
            loss.backward()
            found.append((loss, x.grad))
        assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("balanced", [True, False])
def test_whole_weights_are_repetitions(smoothing: float, balanced: bool) -> None:
    outputs, classes, targets = _scattered()
    times = torch.tensor([0, 1, 2, 3, 1, 0, 4, 1, 2])
    of_classes = torch.tensor([0.5, 2.0, 1.2]) if balanced else None
    task = TaskConfig(attributes=["a", "b"], label_smoothing=smoothing, attribute_weight=0.7)
    x, y = outputs.clone().requires_grad_(), outputs.clone().requires_grad_()
    weighted = task_loss(x, classes, targets, of_classes, task, times.float())
    repeated = task_loss(
        y.repeat_interleave(times, 0), classes.repeat_interleave(times),
        targets.repeat_interleave(times, 0), of_classes, task,
    )  # fmt: skip
    weighted.backward()
    repeated.backward()
    torch.testing.assert_close(weighted, repeated)
    torch.testing.assert_close(x.grad, y.grad)
    # Only what weights are to each other matters.
    torch.testing.assert_close(task_loss(x, classes, targets, of_classes, task, 3.0 * times), weighted)


def test_nothing_of_weight_gives_zero_and_a_gradient() -> None:
    outputs, classes, targets = _scattered()
    outputs.requires_grad_()
    loss = task_loss(outputs, classes, targets, None, TaskConfig(attributes=["a", "b"]), torch.zeros(9))
    loss.backward()
    assert loss.item() == 0 and torch.all(outputs.grad == 0)


def test_weighted_ccc_is_that_of_weighted_moments() -> None:
    rng = np.random.default_rng(3)
    x, y, w = rng.normal(size=30), rng.normal(size=30), rng.uniform(0.1, 3, 30)
    covariance = np.cov(x, y, aweights=w, ddof=0)
    shift = np.average(x, weights=w) - np.average(y, weights=w)
    expected = 2 * covariance[0, 1] / (covariance[0, 0] + covariance[1, 1] + shift**2)
    assert float(concordance_cc(*map(torch.tensor, (x, y, w)))) == pytest.approx(expected, abs=1e-12)
