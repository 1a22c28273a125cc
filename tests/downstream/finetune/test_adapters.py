"""LoRA and bottleneck adapters in encoders of every family."""

import pytest
import torch

from ser.core.errors import UserError
from ser.downstream.finetune.adapters import ADAPTER, AdapterConfig, Bottleneck, adapter_names
from ser.downstream.finetune.config import EncoderConfig, InterpreterConfig, OptimizerConfig
from ser.downstream.finetune.model import EndToEnd, Waves
from ser.upstream import load_upstream

FAMILIES = ["hubert-base", "wavlm-large", "wav2vec2-base", "w2v-bert-relative", "whisper-encoder", "data2vec"]
KINDS = ["lora", "bottleneck"]


def build(name: str, kind: str = "none", speakers=(), checkpointing: bool = False, **options) -> EndToEnd:
    """An encoder with adapters of width 4, the rest of it frozen."""
    torch.manual_seed(0)
    adapter = AdapterConfig(kind=kind, **({"rank": 4, "width": 4} | options))
    encoder = EncoderConfig(trainable="none", adapter=adapter, checkpointing=checkpointing)
    return EndToEnd(load_upstream(name), encoder, InterpreterConfig(), 2, speakers).eval()


def fill(model: EndToEnd) -> EndToEnd:
    """Adapters as after training: nothing in them is zero."""
    generator = torch.Generator().manual_seed(1)
    for name, parameter in model.upstream.named_parameters():
        if ADAPTER.search(name):
            parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)
    return model


def waves(lengths=(8000, 5000), speakers=("a", "b")) -> Waves:
    wave = 0.1 * torch.randn(len(lengths), max(lengths), generator=torch.Generator().manual_seed(1))
    return Waves(wave, torch.tensor(lengths), speakers)


def assert_same(one: torch.Tensor, two: torch.Tensor) -> None:
    """But for rounding, which random layers make larger: by the norm, since single numbers may be near 0."""
    assert float((one - two).norm() / two.norm()) < 1e-4


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_in_every_layer_and_untrained_they_change_nothing(encoder, family: str, kind: str) -> None:
    plain, adapted = build(encoder(family)), build(encoder(family), kind)
    with torch.no_grad():
        assert torch.equal(plain.embed(waves()), adapted.embed(waves()))
        assert not torch.allclose(plain.embed(waves()), fill(adapted).embed(waves()), rtol=1e-3)
    assert set(adapted.chosen) == adapter_names(adapted.chosen)
    # Layer k at depth k + 1, the same adapters in each: LoRA has two matrices beside four projections; a
    # bottleneck has norm, down and up with their biases, behind attention and one or two feed-forward parts.
    count = 8 if kind == "lora" else 18 if family.startswith("w2v") else 12
    assert sorted(adapted.chosen.values()) == [1] * count + [2] * count + [3] * count
    assert all(f"layers.{depth - 1}." in name for name, depth in adapted.chosen.items())
    trained = {name for name, p in adapted.upstream.named_parameters() if p.requires_grad}
    assert trained == set(adapted.chosen)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_an_utterance_is_the_same_alone_and_in_a_batch(encoder, family: str, kind: str) -> None:
    model = fill(build(encoder(family), kind))
    both = waves()
    with torch.no_grad():
        together = model.embed(both)
        for row, length in enumerate(both.lengths.tolist()):
            alone = model.embed(Waves(both.wave[row : row + 1, :length], both.lengths[row : row + 1], ("a",)))
            assert_same(together[row : row + 1], alone)


@pytest.mark.parametrize("family", FAMILIES)
def test_lora_merged_equals_lora_beside(encoder, family: str) -> None:
    model = fill(build(encoder(family), "lora"))
    with torch.no_grad():
        beside = model.embed(waves())
        model.merge_adapters()
        assert_same(model.embed(waves()), beside)
        # And the weight is W + (alpha / r) B A: without the parts beside it nothing changes.
        for name, parameter in model.upstream.named_parameters():
            if ADAPTER.search(name):
                parameter.zero_()
        assert_same(model.embed(waves()), beside)


def test_lora_is_the_equation(encoder) -> None:
    """y = W x + (alpha / r) B A x, of one projection by hand."""
    model = fill(build(encoder("hubert-base"), "lora", alpha=6.0))
    module = model.upstream.get_submodule("model.encoder.layers.1.attention.q_proj")
    x = torch.randn(2, 5, 32)
    a, b = module.lora_A["default"].weight, module.lora_B["default"].weight
    expected = module.base_layer(x) + 6.0 / 4 * x @ a.T @ b.T
    torch.testing.assert_close(module(x), expected, rtol=1e-5, atol=1e-6)


def test_bottleneck_is_the_equation() -> None:
    adapter = Bottleneck(8, 3, "relu", 0.5).eval()
    h = torch.randn(2, 5, 8)
    assert torch.equal(adapter(h), h)
    torch.nn.init.normal_(adapter.up.weight)
    normed = torch.nn.functional.layer_norm(h, (8,))
    down = (normed @ adapter.down.weight.T + adapter.down.bias).relu()
    torch.testing.assert_close(adapter(h), h + down @ adapter.up.weight.T, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_rates_decay_by_layer_and_replayed_layers_change_nothing(encoder, kind: str) -> None:
    found = []
    for checkpointing in (False, True):
        model = fill(build(encoder("wavlm-large"), kind, checkpointing=checkpointing)).train()
        model.embed(waves()).square().sum().backward()
        found.append([p.grad for p in model.upstream.parameters() if p.requires_grad])
    torch.testing.assert_close(found[0], found[1], rtol=1e-6, atol=1e-7)
    assert all(gradient.abs().sum() > 0 for gradient in found[0])
    groups = model.parameter_groups(OptimizerConfig(lr=0.1, layer_decay=0.5))
    rate = {id(p): group["peak_lr"] for group in groups for p in group["params"]}
    for name, parameter in model.upstream.named_parameters():
        if name in model.chosen:
            assert rate[id(parameter)] == pytest.approx(0.1 * 0.5 ** (3 - model.chosen[name]))


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_in_training_alone(encoder, kind: str) -> None:
    model = fill(build(encoder("hubert-base"), kind, dropout=0.5))
    with torch.no_grad():
        assert torch.equal(model.embed(waves()), model.embed(waves()))
        model.train()
        assert not torch.equal(model.embed(waves()), model.embed(waves()))


def test_beside_the_last_layers_own_weights(encoder) -> None:
    options = EncoderConfig("top:1", adapter=AdapterConfig(kind="lora"))
    model = EndToEnd(load_upstream(encoder("hubert-large")), options, InterpreterConfig(), 2, [])
    own = {name: depth for name, depth in model.chosen.items() if name not in adapter_names(model.chosen)}
    assert set(own.values()) == {3} and any(name.endswith("q_proj.base_layer.weight") for name in own)
    assert {model.chosen[name] for name in adapter_names(model.chosen)} == {1, 2, 3}


@pytest.mark.parametrize("kind", KINDS)
def test_a_personalised_encoder(pretrained, kind: str) -> None:
    name = f"papt:{pretrained('last')}"
    plain, adapted = build(name, speakers=["s0"]), build(name, kind, speakers=["s0"])
    spoken = waves(speakers=("s0", "s1"))
    with torch.no_grad():
        assert torch.equal(plain.embed(spoken), adapted.embed(spoken))
        assert not torch.allclose(plain.embed(spoken), fill(adapted).embed(spoken), rtol=1e-3)


def test_fewer_projections_and_places(encoder) -> None:
    lora = build(encoder("wavlm-large"), "lora", projections=["query", "value"])
    assert {name.split(".lora")[0].rsplit(".", 1)[1] for name in lora.chosen} == {"q_proj", "v_proj"}
    adapters = build(encoder("whisper-encoder"), "bottleneck", places=["feed_forward"])
    assert {name.split(".bottleneck")[0].rsplit(".", 1)[1] for name in adapters.chosen} == {"fc2"}


@pytest.mark.parametrize(
    ("family", "kind", "message"),
    [
        # Its attention reads the projections' weights, and calls none of them.
        ("hubert-local", "lora", r"does not run its adapters.*Load it as hf:<folder>"),
        ("hubert-local", "bottleneck", r"does not run its adapters.*out_proj"),
        ("fbank", "lora", r"the layers of fbank have no query module"),
        ("fbank", "bottleneck", r"the layers of fbank have no attention module"),
    ],
)
def test_encoders_without_such_modules(encoder, family: str, kind: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(family if family == "fbank" else encoder(family), kind)
