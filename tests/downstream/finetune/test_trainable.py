"""Which parameters are trained, how deep they lie, and with which learning rate."""

import pytest
import torch
from torch import nn

from ser.core.errors import UserError
from ser.downstream.finetune.config import EncoderConfig, InterpreterConfig, OptimizerConfig
from ser.downstream.finetune.model import EndToEnd, Waves
from ser.downstream.finetune.trainable import CNN, choose, measure_depths, schedule
from ser.downstream.heads import make_interpreter, settle_batchnorm
from ser.upstream import load_upstream


@pytest.mark.parametrize(
    ("kind", "layer", "closing"),
    [
        ("hubert-base", "model.encoder.layers.{}.", 0),
        ("hubert-large", "model.encoder.layers.{}.", 3),
        ("wavlm-base", "model.encoder.layers.{}.", 0),
        ("wav2vec2-base", "model.encoder.layers.{}.", 0),
        ("w2v-bert-relative", "model.encoder.layers.{}.", None),
        ("whisper-encoder", "encoder.layers.{}.", 3),
        ("data2vec", "model.encoder.layers.{}.", 0),
    ],
)
def test_depth_is_the_first_state_that_depends_on_it(
    encoder, kind: str, layer: str, closing: int | None
) -> None:
    upstream = load_upstream(encoder(kind))
    depths = measure_depths(upstream, 3, [])
    names = dict(upstream.named_parameters())
    for number in range(3):
        own = [name for name in depths if name.startswith(layer.format(number))]
        assert own and {depths[name] for name in own} == {number + 1}
    norms = [name for name in depths if name.endswith("encoder.layer_norm.weight")]
    norms += [name for name in depths if name == "encoder.layer_norm.weight"]
    assert {depths[name] for name in norms} == (set() if closing is None else {closing})
    assert not any("masked_spec_embed" in name for name in depths)
    assert all(depths[name] == 0 for name in names if CNN.search(name))
    assert any(CNN.search(name) for name in names) == (not kind.startswith("w2v-bert"))
    assert not any(parameter.requires_grad for parameter in upstream.parameters())


def test_layers_above_the_one_that_is_used_are_not_trained(encoder) -> None:
    model = EndToEnd(
        load_upstream(encoder("hubert-base")), EncoderConfig("all", layer=2), InterpreterConfig(), 2, []
    )
    assert max(model.chosen.values()) == 2
    assert not any(".layers.2." in name for name in model.chosen)


def test_s3prl_hubert_can_be_trained(encoder) -> None:
    upstream = load_upstream(encoder("hubert-local"))
    depths = measure_depths(upstream, upstream.info.num_layers - 1, [])
    assert {depths[n] for n in depths if "encoder.layers.1." in n} == {2}
    assert not any("label_embs" in name or "final_proj" in name for name in depths)


@pytest.mark.parametrize(
    ("trainable", "expected"),
    [("all", {0, 1, 2, 3}), ("no_cnn", {0, 1, 2, 3}), ("top:2", {2, 3}), ("none", set())],
)
def test_what_is_trained(encoder, trainable: str, expected: set[int]) -> None:
    upstream = load_upstream(encoder("hubert-large"))
    model = EndToEnd(upstream, EncoderConfig(trainable), InterpreterConfig(), 2, [])
    assert set(model.chosen.values()) == expected
    trained = {name for name, parameter in upstream.named_parameters() if parameter.requires_grad}
    assert trained == set(model.chosen)
    assert any(CNN.search(name) for name in trained) == (trainable == "all")
    assert model.trained_parameters() == sum(v.numel() for v in model.trained_state().values()) - sum(
        b.numel() for b in model.head.buffers()
    )


def test_the_sinusoids_of_whisper_stay(encoder) -> None:
    upstream = load_upstream(encoder("whisper-encoder"))
    depths = measure_depths(upstream, 3, [])
    assert "encoder.embed_positions.weight" in depths
    assert "encoder.embed_positions.weight" not in choose(depths, "all", 3, False)


def test_layer_wise_learning_rates(encoder) -> None:
    """lr of layer l = lr * decay^(L - l); the head has its own; biases and norms do not decay."""
    model = EndToEnd(load_upstream(encoder("hubert-large")), EncoderConfig("all"), InterpreterConfig(), 2, [])
    groups = model.parameter_groups(OptimizerConfig(lr=0.1, layer_decay=0.5, head_lr=7.0, weight_decay=0.3))
    rate = {id(p): g["peak_lr"] for g in groups for p in g["params"]}
    decay = {id(p): g["weight_decay"] for g in groups for p in g["params"]}
    for name, parameter in model.upstream.named_parameters():
        if name in model.chosen:
            assert rate[id(parameter)] == pytest.approx(0.1 * 0.5 ** (3 - model.chosen[name]))
    assert all(rate[id(parameter)] == 7.0 for parameter in model.head.parameters())
    trained = [p for p in model.parameters() if p.requires_grad]
    assert len(rate) == len(trained)
    assert all(decay[id(p)] == (0.3 if p.dim() > 1 else 0.0) for p in trained)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("hubert-base", EncoderConfig("top:4"), "has 3 layers up to the one that is used: 'top:4'"),
        ("whisper-encoder", EncoderConfig(dropout=0.1), "no dropout to switch on"),
        ("hubert-base", EncoderConfig(layer=9), "has 4 layers: '9'"),
    ],
)
def test_what_cannot_be_trained_so(encoder, kind: str, options: EncoderConfig, message: str) -> None:
    with pytest.raises(UserError, match=message):
        EndToEnd(load_upstream(encoder(kind)), options, InterpreterConfig(), 2, [])


@pytest.mark.parametrize("name", ["fbank", "s3prl:mfcc"])
def test_features_without_parameters_are_refused(name: str) -> None:
    with pytest.raises(UserError, match=r"nothing that can be fine-tuned.*ser train"):
        measure_depths(load_upstream(name), 0, [])


def test_the_interpreter_of_the_paper() -> None:
    head = make_interpreter([128, 32], 0.3, 16, 2)
    order = [nn.Linear, nn.ReLU, nn.Dropout, nn.BatchNorm1d] * 2 + [nn.Linear]
    assert [type(layer) for layer in head] == order
    assert [layer.out_features for layer in head if isinstance(layer, nn.Linear)] == [128, 32, 2]
    assert torch.equal(head.eval()(torch.randn(3, 16)), torch.zeros(3, 2))


def test_statistics_of_batchnorm_are_those_of_the_weights_as_they_are() -> None:
    """Settled on vectors, the head predicts for them what it predicts with the batch's own statistics."""
    torch.manual_seed(0)
    head = make_interpreter([8, 4], 0.5, 16, 2)
    nn.init.normal_(head[-1].weight)
    vectors = 5 + 0.01 * torch.randn(400, 16)
    before = head.eval()(vectors).detach()
    settle_batchnorm(head, vectors)
    assert not any(module.training for module in head.modules())
    settled = head(vectors).detach()
    for module in head.modules():
        if isinstance(module, nn.BatchNorm1d):
            assert module.momentum == 0.1
            module.train()
    # Of 400 vectors the running variance is 400 / 399 of the batch's.
    torch.testing.assert_close(head(vectors).detach(), settled, rtol=0.02, atol=0.02)
    assert float((before - settled).abs().max()) > 1


def test_schedule() -> None:
    linear = [schedule(step, 100, 0.1, "linear") for step in range(100)]
    assert max(linear) == linear[10] == 1 and 0 < linear[0] < linear[9] < 1 and 0 < linear[-1] < 0.02
    assert schedule(99, 100, 0.1, "constant") == 1
    assert schedule(0, 1, 0.0, "linear") == 1


@pytest.mark.parametrize("kind", ["hubert-base", "wavlm-large", "whisper-encoder", "w2v-bert-relative"])
def test_checkpointed_layers_change_nothing(encoder, kind: str) -> None:
    found = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        options = EncoderConfig("all", checkpointing=checkpointing)
        model = EndToEnd(load_upstream(encoder(kind)), options, InterpreterConfig(), 2, []).train()
        wave = 0.1 * torch.randn(2, 8000, generator=torch.Generator().manual_seed(1))
        vectors = model.embed(Waves(wave, torch.tensor([8000, 6000]), ("a", "b")))
        vectors.square().sum().backward()
        found.append((vectors.detach(), [p.grad for p in model.upstream.parameters() if p.grad is not None]))
    torch.testing.assert_close(found[0], found[1], rtol=1e-6, atol=1e-7)
