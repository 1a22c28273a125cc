"""Two-phase training: who learns when, at which rate, and that what waits stays as it was."""

from pathlib import Path

import pytest
import torch

from ser.core.errors import UserError
from ser.core.files import read_json
from ser.downstream.config import ValidationConfig
from ser.downstream.finetune.adapters import AdapterConfig
from ser.downstream.finetune.config import EncoderConfig, FinetuneConfig, OptimizerConfig
from ser.downstream.finetune.fit import FineTuning
from ser.downstream.finetune.trainable import schedule, set_rates
from ser.downstream.finetune.unfreezing import UnfreezeConfig
from tests.downstream.finetune.experiments import make_fit, quick, run


def groups_of(*begins: int) -> list[dict]:
    """One parameter each."""
    return [
        {"params": [torch.nn.Parameter(torch.ones(2))], "peak_lr": 1.0, "lr": 1.0, "begins": each}
        for each in begins
    ]


def test_who_waits_has_no_gradient_and_then_a_warm_up_of_its_own() -> None:
    options = OptimizerConfig(warmup=0.2)
    groups = groups_of(0, 2)
    rates: list[list[float]] = []
    for step in range(50):
        set_rates(groups, step, 10, 5, UnfreezeConfig(after=2), options)
        assert groups[1]["params"][0].requires_grad == (step >= 20)
        rates.append([group["lr"] for group in groups])
    head, late = zip(*rates, strict=True)
    assert list(head) == [schedule(step, 50, 0.2, "linear") for step in range(50)]
    assert list(late) == [0.0] * 20 + [schedule(step, 30, 0.2, "linear") for step in range(30)]
    assert late.index(max(late)) == 26 and late[-1] < 0.05


def test_layer_by_layer_from_the_top() -> None:
    phases = UnfreezeConfig(after=2, every=3, unit="steps")
    groups = groups_of(0, *[phases.begins(depth, 3) for depth in (3, 2, 1, 0)])
    learning = []
    for step in range(14):
        set_rates(groups, step, 7, 2, phases, OptimizerConfig())
        learning.append(sum(group["params"][0].requires_grad for group in groups))
    assert learning == [1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5]


def test_without_phases_nothing_is_different(corpus: Path, encoder) -> None:
    fit = make_fit(corpus, encoder(), quick(encoder=EncoderConfig("all")))
    trained = [name for name, p in fit.model.named_parameters() if p.requires_grad]
    set_rates(fit.optimizer.param_groups, 0, 3, 2, UnfreezeConfig(), OptimizerConfig(warmup=0.0))
    assert [name for name, p in fit.model.named_parameters() if p.requires_grad] == trained
    assert all(
        group["lr"] == group["peak_lr"] and group["begins"] == 0 for group in fit.optimizer.param_groups
    )


@pytest.mark.parametrize("adapter", ["none", "bottleneck"])
@pytest.mark.parametrize("every", [0, 1])
def test_what_waits_stays_to_the_bit(corpus: Path, encoder, every: int, adapter: str) -> None:
    """Weight decay and Adam's moments too: three steps an epoch, the encoder waits for one."""
    config = quick(
        3,
        encoder=EncoderConfig("none" if adapter != "none" else "no_cnn", adapter=AdapterConfig(kind=adapter)),
        unfreeze=UnfreezeConfig(after=1, every=every),
        optimizer=OptimizerConfig(lr=1e-2, head_lr=1e-2, epochs=3, weight_decay=0.5, warmup=0.0),
    )
    fit = make_fit(corpus, encoder(), config)
    count = fit.model.trained_parameters()
    torch.nn.init.normal_(fit.model.head[-1].weight)
    for epoch in (1, 2, 3):
        before = {name: value.clone() for name, value in fit.model.trained_state().items()}
        fit._epoch(epoch)
        after = fit.model.trained_state()
        moved = {name for name in before if not torch.equal(before[name], after[name])}
        depths = {fit.model.chosen[n.removeprefix("upstream.")] for n in moved if n.startswith("upstream.")}
        least = 4 if epoch == 1 else 3 - (epoch - 2) if every else min(fit.model.chosen.values())
        assert depths == {d for d in fit.model.chosen.values() if d >= least}
        assert any(name.startswith("head.") for name in moved)
        assert fit.model.trained_parameters() == count


def test_patience_waits_for_the_encoder(corpus: Path, encoder, tmp_path: Path, monkeypatch) -> None:
    """Validation is best in the first epoch: without phases training ends after two, with them it goes on."""
    monkeypatch.setattr(FineTuning, "_validate", lambda self: -float(self.state.epoch))
    for after, expected in ((0, 2), (2, 3)):
        options = OptimizerConfig(lr=1e-3, epochs=6, patience=1)
        config = quick(optimizer=options, unfreeze=UnfreezeConfig(after=after))
        experiment = run(corpus, encoder(), tmp_path / str(after), config, only_fold="a")
        assert len(read_json(experiment.fold_dir(0, "a") / "fit.json")["curve"]) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unfreeze": UnfreezeConfig(after=-1)}, r"unfreeze.after must be at least 0"),
        ({"unfreeze": UnfreezeConfig(after=10)}, r"less than optimizer.epochs.*10 of 10.*trainable: none"),
        (
            {"unfreeze": UnfreezeConfig(after=1), "encoder": EncoderConfig("none")},
            r"unfreeze says when the encoder begins to learn, and it never does",
        ),
        (
            {"encoder": EncoderConfig(adapter=AdapterConfig(kind="lora"))},
            r"adapters stand in for .*trainable: no_cnn.*Set encoder.trainable: none, or top:<n>",
        ),
        ({"encoder": EncoderConfig("none", adapter=AdapterConfig("lora", rank=0))}, r"adapter.rank must be"),
        ({"encoder": EncoderConfig("none", adapter=AdapterConfig("lora", dropout=1.0))}, r"adapter.dropout"),
        (
            {"encoder": EncoderConfig("none", adapter=AdapterConfig("bottleneck", places=[]))},
            r"adapter.places must be names, each once",
        ),
    ],
)
def test_options_that_mean_nothing(options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        FinetuneConfig(**options).check()


def test_steps_beyond_the_training(corpus: Path, encoder) -> None:
    config = quick(2, unfreeze=UnfreezeConfig(after=6, unit="steps"), validation=ValidationConfig(share=0.3))
    config.check()
    with pytest.raises(UserError, match=r"head alone for 6 steps, and there are 6 steps"):
        make_fit(corpus, encoder(), config)
