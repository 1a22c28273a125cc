"""Gradients of an effective batch equal those of one big batch, BatchNorm and dropout included."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from ser.engine.effective_batch import MicroBatch, backward, gather_vectors, random_numbers

SIZE, TIME, WIDTH, DIM = 7, 5, 4, 6


class Toy(nn.Module):
    """Frames to vectors, with dropout where asked for, and a head with BatchNorm and dropout."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Sequential(
            nn.Linear(WIDTH, 16), nn.GELU(), nn.Dropout(dropout), nn.Linear(16, DIM), nn.LayerNorm(DIM)
        )
        self.head = nn.Sequential(
            nn.Linear(DIM, 8), nn.ReLU(), nn.Dropout(0.3), nn.BatchNorm1d(8), nn.Linear(8, 2)
        )
        self.double().train()

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean(1)


def data() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(SIZE, TIME, WIDTH, generator=generator, dtype=torch.float64)
    return x, torch.randn(SIZE, 2, generator=generator)


def loss_of(model: Toy, vectors: Tensor, target: Tensor) -> Tensor:
    """1 - CCC: no mean over utterances. The head's dropout has a seed of its own."""
    with random_numbers(99):
        found = model.head(vectors.double())
    x, y = found - found.mean(0), target - target.mean(0)
    shift = (found.mean(0) - target.mean(0)).square()
    return 1 - (2 * (x * y).mean(0) / (x.square().mean(0) + y.square().mean(0) + shift)).mean()


def micro_batches(x: Tensor, micro: int) -> list[MicroBatch]:
    """Micro-batches of an order that is not the batch's."""
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(2))
    return [MicroBatch(rows, x[rows], 10 + i) for i, rows in enumerate(order.split(micro))]


def gradients(model: Toy) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters()}


def of_effective_batch(
    model: Toy, micro: int, rank: int = 0, world: int = 1, kept: int = 1
) -> tuple[float, dict[str, Tensor]]:
    x, target = data()
    accelerator = Accelerator(cpu=True)
    mine = micro_batches(x, micro)[rank::world]
    loss = loss_of(model, gather_vectors(model.encode, mine, SIZE, DIM, accelerator, kept), target)
    backward(loss, list(model.encoder.parameters()), accelerator)
    return float(loss.detach()), gradients(model)


def assert_equal(one: dict[str, Tensor], two: dict[str, Tensor]) -> None:
    for name in one:
        difference = (one[name] - two[name]).norm() / one[name].norm().clamp_min(1e-6)
        assert difference < 1e-5, f"{name}: {difference}"


@pytest.mark.parametrize("micro", [1, 3, SIZE])
def test_gradients_and_statistics_equal_one_big_batch(micro: int) -> None:
    whole, model = Toy(), Toy()
    x, target = data()
    loss = loss_of(whole, whole.encode(x), target)
    loss.backward()
    value, found = of_effective_batch(model, micro)
    assert value == pytest.approx(float(loss.detach()), rel=1e-6)
    assert_equal(gradients(whole), found)
    for one, two in zip(whole.head.buffers(), model.head.buffers(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-7)  # BatchNorm has seen the batch once


@pytest.mark.parametrize("micro", [1, 3, SIZE])
def test_dropout_in_the_encoder_is_replayed(micro: int) -> None:
    """The same micro-batches in one graph, nothing thrown away, give the same gradients."""
    whole, model = Toy(dropout=0.5), Toy(dropout=0.5)
    x, target = data()
    vectors = torch.zeros(SIZE, DIM, dtype=torch.float64)
    for each in micro_batches(x, micro):
        with random_numbers(each.seed):
            vectors = vectors.index_copy(0, each.rows, whole.encode(each.inputs))
    loss_of(whole, vectors, target).backward()
    assert_equal(gradients(whole), of_effective_batch(model, micro)[1])


def test_dividing_the_loss_would_be_wrong() -> None:
    """What the scheme is for: the mean of the micro-batches' own losses has other gradients."""
    whole, model = Toy(), Toy()
    x, target = data()
    loss_of(whole, whole.encode(x), target).backward()
    for rows in (slice(0, 4), slice(4, None)):
        (loss_of(model, model.encode(x[rows]), target[rows]) / 2).backward()
    one, two = gradients(whole), gradients(model)
    assert max((one[n] - two[n]).norm() / one[n].norm() for n in one if one[n].norm() > 1e-6) > 0.1


@pytest.mark.parametrize(
    ("micro", "kept", "calls"),
    [(SIZE, 1, 1), (4, 1, 3), (1, 1, 2 * SIZE - 1), (1, 3, 2 * SIZE - 3), (1, SIZE, SIZE), (4, 9, 2)],
)
def test_what_is_kept_is_not_replayed(micro: int, kept: int, calls: int) -> None:
    model, count = Toy(), 0
    encode = model.encode

    def counted(x: Tensor) -> Tensor:
        nonlocal count
        count += 1
        return encode(x)

    model.encode = counted
    of_effective_batch(model, micro, kept=kept)
    assert count == calls


@pytest.mark.parametrize("kept", [2, 3, SIZE])
def test_what_is_kept_changes_no_gradient(kept: int) -> None:
    """With dropout in the encoder, which a replay draws again and a kept micro-batch does not."""
    value, expected = of_effective_batch(Toy(dropout=0.5), 2)
    found, gradients_of_kept = of_effective_batch(Toy(dropout=0.5), 2, kept=kept)
    assert found == value
    assert_equal(expected, gradients_of_kept)


@pytest.mark.parametrize("kept", [1, 3])
def test_activations_of_so_many_micro_batches_live_at_a_time(kept: int) -> None:
    model, alive, most = Toy(), [], 0
    encode = model.encode

    def watched(x: Tensor) -> Tensor:
        nonlocal most
        frames = model.encoder[0](x)  # saved for the backward pass of the activation
        alive.append(weakref.ref(frames))
        vectors = model.encoder[1:](frames).mean(1)
        del frames
        gc.collect()
        most = max(most, sum(ref() is not None for ref in alive))
        return vectors

    assert torch.equal(watched(data()[0]), encode(data()[0]))
    alive.clear()
    model.encode, most = watched, 0
    of_effective_batch(model, 1, kept=kept)
    # In the forward pass those that are kept. In the backward pass, when they are used up, the replayed one.
    assert most == kept


def test_generators_are_put_back() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with random_numbers(1):
        inside = torch.rand(3)
    assert torch.equal(torch.rand(3), expected)
    with random_numbers(1):
        assert torch.equal(torch.rand(3), inside)


@pytest.mark.slow
@pytest.mark.parametrize("micro", [1, 3, SIZE])
def test_two_processes_equal_one(tmp_path: Path, micro: int) -> None:
    """With 7 rows, 3 a micro-batch, one process has two and the other one; with 7, one has none."""
    environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    subprocess.run([*command, __file__, str(micro), str(tmp_path)], check=True, timeout=120, env=environment)
    value, one = of_effective_batch(Toy(dropout=0.5), micro)
    for rank in range(2):
        loss, two = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert loss == pytest.approx(value, rel=1e-6)
        assert_equal(one, two)


if __name__ == "__main__":
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    found = of_effective_batch(Toy(dropout=0.5), int(sys.argv[1]), rank, world)
    torch.save(found, Path(sys.argv[2]) / f"{rank}.pt")
    torch.distributed.destroy_process_group()
