"""The model on pooled arks against the model on frames, and the parts it is made of."""

import numpy as np
import pytest
import torch
from sklearn.preprocessing import QuantileTransformer, StandardScaler

from ser.core.errors import UserError
from ser.downstream.config import ModelConfig
from ser.downstream.layers import LayerWeights, SingleLayer
from ser.downstream.model import UtteranceModel
from ser.downstream.pooling import masked_mean, masked_std, pooled_statistics
from ser.downstream.standardise import NormalScores, Standardiser, by_speaker

LENGTHS = torch.tensor([7, 20, 1, 13])
EXACT = [
    ("weighted", "mean", "linear"),
    ("weighted", "mean", "superb"),
    ("weighted", "mean", "mlp"),
    (2, "mean", "superb"),
    (2, "mean+std", "linear"),
    (-1, "mean+std", "mlp"),
]


def frames(seed: int = 0, padding: float = 0.0) -> list[torch.Tensor]:
    """Five layers of (4, 20, 6), with ``padding`` beyond each length."""
    generator = torch.Generator().manual_seed(seed)
    layers = [3 + torch.randn(4, 20, 6, generator=generator) for _ in range(5)]
    for layer in layers:
        for row, length in enumerate(LENGTHS):
            layer[row, length:] = padding
    return layers


def make_model(layer: int | str, pooling: str, head: str) -> UtteranceModel:
    torch.manual_seed(1)
    statistics = 1 if pooling == "mean" else 2
    config = ModelConfig(layer=layer, pooling=pooling, head=head, hidden=8)
    model = UtteranceModel(config, (statistics, 5, 6), 3)
    if layer == "weighted":
        model.layers.scores.data = torch.tensor([0.3, -1.0, 2.0, 0.0, 0.5])
    torch.nn.init.normal_(model.head[-1].weight)  # it starts at zero, where everything is equal
    pooled = pooled_statistics(torch.stack(frames(), 2), LENGTHS)[:, :statistics]
    model.standardiser.fit([pooled])
    return model.eval()


@pytest.mark.parametrize(("layer", "pooling", "head"), EXACT)
def test_pooled_equals_frames(layer: int | str, pooling: str, head: str) -> None:
    model, layers = make_model(layer, pooling, head), frames()
    pooled = pooled_statistics(torch.stack(layers, 2), LENGTHS)[:, : model.statistics]
    torch.testing.assert_close(model(pooled), model.forward_frames(layers, LENGTHS), rtol=1e-5, atol=1e-5)


def test_an_affine_head_may_run_on_frames() -> None:
    """SUPERB's order: layer sum, Linear on each frame, mean, Linear."""
    model, layers = make_model("weighted", "mean", "superb"), frames()
    first, _, second = model.head
    merged = model.layers(model.standardiser(torch.stack(layers, 2).flatten(0, 1)[:, None])[:, 0])
    superb = second(masked_mean(first(merged).unflatten(0, (4, 20)), LENGTHS))
    pooled = pooled_statistics(torch.stack(layers, 2), LENGTHS)[:, :1]
    torch.testing.assert_close(model(pooled), superb, rtol=1e-5, atol=1e-5)


def test_std_of_a_layer_sum_is_not_std_per_layer() -> None:
    """Why mean+std with learned weights is refused: the two differ far beyond rounding."""
    layers, weights = torch.stack(frames(), 2), LayerWeights(5)
    exact = masked_std(weights(layers), LENGTHS)
    mixed = weights(masked_std(layers, LENGTHS))
    assert (exact - mixed).abs().max() > 0.1


@pytest.mark.parametrize(("layer", "pooling", "head"), EXACT)
def test_padding_changes_nothing(layer: int | str, pooling: str, head: str) -> None:
    model = make_model(layer, pooling, head)
    clean, dirty = model.forward_frames(frames(), LENGTHS), model.forward_frames(frames(padding=1e4), LENGTHS)
    torch.testing.assert_close(clean, dirty, rtol=1e-6, atol=1e-6)


def test_pooling_against_numpy() -> None:
    x = frames(padding=float("nan"))[0]
    for row, length in enumerate(LENGTHS):
        real = x[row, :length].numpy()
        np.testing.assert_allclose(masked_mean(x, LENGTHS)[row], real.mean(0), rtol=1e-5)
        np.testing.assert_allclose(masked_std(x, LENGTHS)[row], real.std(0), rtol=1e-4, atol=1e-6)


def test_layer_weights_start_equal_and_sum_to_one() -> None:
    weights = LayerWeights(4)
    torch.testing.assert_close(weights.weights(), torch.full((4,), 0.25))
    weights.scores.data = torch.randn(4)
    assert float(weights.weights().sum().detach()) == pytest.approx(1.0)


def test_single_layer_counts_from_the_end_and_refuses_others() -> None:
    x = torch.randn(2, 3, 4)
    assert torch.equal(SingleLayer(3, -1)(x), x[:, 2])
    assert SingleLayer(3, -1).weights().tolist() == [0, 0, 1]
    with pytest.raises(UserError, match="3 layers"):
        SingleLayer(3, 3)


def test_standardiser_equals_scikit_learn_in_any_batching() -> None:
    x = 1000 + torch.randn(50, 2, 3, 4)
    x[:, 1, 2, 3] = 7.0
    reference = StandardScaler().fit(x.reshape(50, -1).double().numpy())
    for size in (50, 7, 1):
        standardiser = Standardiser((2, 3, 4))
        standardiser.fit(x.split(size))
        found = standardiser(x).reshape(50, -1)
        np.testing.assert_allclose(found, reference.transform(x.reshape(50, -1).double()), atol=2e-3)
        assert torch.all(found.reshape(50, 2, 3, 4)[:, 1, 2, 3] == 0)


def test_normal_scores_equal_scikit_learns() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(300, 1, 2, 4, generator=generator).exp()
    x[:, 0, 0, 0] = x[:, 0, 0, 0].round()  # ties
    x[:, 0, 1, 3] = 2.0  # constant
    scores = NormalScores((1, 2, 4))
    scores.fit(x.split(77))
    reference = QuantileTransformer(n_quantiles=101, output_distribution="normal", subsample=None).fit(
        x.flatten(1).numpy()
    )
    expected = reference.transform(x.flatten(1).numpy()).reshape(x.shape)
    inside = np.abs(expected) < 3  # scikit-learn sends the extremes to +-5.2, we to +-3.1
    varying = np.ones(x.shape, bool)
    varying[:, 0, 1, 3] = False
    np.testing.assert_allclose(scores(x)[inside & varying], expected[inside & varying], atol=1e-3)
    assert torch.all(scores(x)[:, 0, 1, 3] == 0)
    assert scores(x).abs().max() < 3.1
    assert torch.equal(scores(x[:5]), scores(x)[:5])


def test_speaker_standardisation_uses_that_speaker_alone() -> None:
    x, speakers = torch.randn(6, 1, 2, 3), list("abbaab")
    before = by_speaker(x, speakers)
    changed = x.clone()
    changed[[1, 2, 5]] *= 100
    after = by_speaker(changed, speakers)
    torch.testing.assert_close(before[[0, 3, 4]], after[[0, 3, 4]])
    torch.testing.assert_close(before, after, rtol=1e-3, atol=1e-4)  # scale of a speaker drops out
    torch.testing.assert_close(before[[1, 2, 5]].mean(0), torch.zeros(1, 2, 3), atol=1e-6, rtol=0)


def test_a_speaker_of_one_utterance_becomes_zero() -> None:
    assert torch.all(by_speaker(torch.randn(1, 1, 2, 3), ["a"]) == 0)


def test_layer_weights_have_their_own_rate_and_no_decay() -> None:
    model = make_model("weighted", "mean", "linear")
    head, biases, merging = model.parameter_groups(0.1, 0.5, 10.0)
    assert (biases["lr"], biases["weight_decay"]) == (0.1, 0.0)
    assert (head["lr"], head["weight_decay"]) == (0.1, 0.5)
    assert (merging["lr"], merging["weight_decay"]) == (1.0, 0.0)
    assert len(make_model(0, "mean", "linear").parameter_groups(0.1, 0.5, 10.0)) == 2
