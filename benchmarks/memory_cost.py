"""What a neural memory costs beside an encoder: a token, an utterance, a dialogue of 1,000, a training step.

    python benchmarks/memory_cost.py layer
    python benchmarks/memory_cost.py dialogue
    python benchmarks/memory_cost.py training

``layer``: the host alone is a random WavLM of the base size hearing ``--seconds`` of noise, one utterance
after the other, up to the vector that a head reads. Its tokens go through a memory that is read (norm, W_in,
queries, M(q), W_out, residual) and written (keys, values, rates, the chunks' gradients). What the two have in
common, norm and W_in, counts as reading. Persistent tokens are written and read as well: an utterance of one
token is nine to the memory.

``dialogue``: 1,000 utterances at 25 tokens a second after one another, without gradients, from features.

``training``: steps of AdamW on dialogues from features, as ``ser memory-train --feats`` makes them,
back-propagated through 1, 8 and 16 utterances, against no history at all.

Times are of the process's own computing on a CPU, which others on the machine disturb less: the median of
``--repeat`` and, in brackets, the quartiles. Rows of ``dialogue`` and ``training`` are a process each, and
their memory is the process's peak, or its growth.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.nn import functional as F

from ser.engine.peak import peak_memory
from ser.memory.config import ConversationHeadConfig, EncoderHostConfig, MemoryConfig
from ser.memory.dialogues import Dialogue
from ser.memory.fit import take_window
from ser.memory.history import ALL_ON, Switches
from ser.memory.hosts.base import Heard
from ser.memory.hosts.encoder import EncoderHost, of_frames, of_pooled
from ser.memory.listening import Listening
from ser.memory.model import ConversationModel, converse
from ser.memory.neural import NeuralMemory
from ser.upstream.base import Upstream, UpstreamInfo, count_parameters
from ser.upstream.personalised import build_model
from ser.upstream.wav2vec2 import Wav2Vec2Upstream

RATE, CLASSES, LAYERS, DIM = 16000, 4, 13, 768
META = {"upstream": "random", "tag": "random", "family": "wavlm", "checkpoint": "", "sample_rate": RATE}
# Tokens of an utterance -> frames of 20 ms that are averaged to one; 0 for the utterance's vector.
TOKENS = {"vector": 0, "25/s": 2, "50/s": 1}
READS = Switches(writes=False)
CPU = torch.device("cpu")
DIALOGUES, TURNS = 8, 16


def make_encoder(config: dict[str, int]) -> Upstream:
    """A random WavLM; ``config`` is transformers', its defaults are the base size."""
    torch.manual_seed(0)
    model = build_model("wavlm", config)
    info = UpstreamInfo(
        name="random", tag="random", family="wavlm", sample_rate=RATE, frame_rate=50.0,
        num_layers=model.config.num_hidden_layers + 1, dim=model.config.hidden_size,
        parameters=count_parameters(model), checkpoint=None,
    )  # fmt: skip
    return Wav2Vec2Upstream(model, info, normalise=True)


def make_host(tokens: str, upstream: Upstream | None, layers: int = LAYERS, dim: int = DIM) -> EncoderHost:
    """The encoder as host of an utterance's vector, or of its last layer's frames."""
    if TOKENS[tokens] == 0:
        config, shape = EncoderHostConfig(pooling="mean"), (1, layers, dim)
    else:
        config = EncoderHostConfig(tokens="frames", layer=layers - 1, stride=TOKENS[tokens])
        shape = (1, 1, dim)
    return EncoderHost(config, shape, META, None if upstream is None else lambda: upstream)


class Noise(Listening):
    """Stands in for features: a few utterances of noise, again and again."""

    def __init__(self, tokens: str, seconds: float, kept: int = 8) -> None:
        torch.manual_seed(1)
        frames, stride = round(50 * seconds), TOKENS[tokens]
        self._pooled = torch.randn(kept, 1, LAYERS, DIM) if stride == 0 else None
        self._frames = [torch.randn(-(-frames // stride), DIM) for _ in range(kept)] if stride else []

    def take(self, utterances: Sequence[str]) -> Heard:
        """By the number that an utterance's name ends in."""
        rows = [int(name.rpartition("-")[2]) for name in utterances]
        if self._pooled is not None:
            return of_pooled(self._pooled[[row % len(self._pooled) for row in rows]])
        return of_frames([self._frames[row % len(self._frames)] for row in rows], 1)


def quartiles(call: Callable[[], object], repeat: int) -> list[float]:
    """25 %, 50 % and 75 % of the computing time of ``call``, in ms."""
    call()
    times = []
    for _ in range(repeat):
        start = time.process_time()
        call()
        times.append(1e3 * (time.process_time() - start))
    return np.quantile(times, [0.25, 0.5, 0.75]).tolist()


def shown(found: list[float], batch: int = 1) -> str:
    """Median and quartiles of an utterance."""
    low, median, high = (value / batch for value in found)
    return f"{median:8.3f} [{low:7.3f}, {high:7.3f}]"


@torch.no_grad()
def layer(options: argparse.Namespace) -> None:
    """Reading and writing apart, against the host alone, for every size."""
    upstream = make_encoder(json.loads(options.encoder))
    sizes, samples = (upstream.info.num_layers, upstream.info.dim), round(options.seconds * RATE)
    print(f"encoder of {upstream.info.parameters / 1e6:.1f} million parameters, {options.seconds:g} s")
    print("tokens  batch  width  depth  chunk  ms an utterance: read             write"
          "                         us a token: read  write  % of host: read  write")  # fmt: skip
    random = np.random.default_rng(0)
    waves = [random.normal(0, 0.1, samples).astype(np.float32) for _ in range(max(options.batch))]
    for tokens in options.tokens:
        host = make_host(tokens, upstream, *sizes).eval()
        # An encoder hears its utterances one by one: a batch takes so many times as long.
        alone = quartiles(lambda: host(host.hear(waves[:1])), max(options.repeat // 4, 1))  # noqa: B023
        heard = host.hear(waves)
        print(f"{tokens:6s}  host alone, {int(heard.lengths[0])} tokens: {shown(alone)} ms an utterance")
        for batch in options.batch:
            some = Heard(
                {name: value[:batch] for name, value in heard.tensors.items()}, heard.lengths[:batch]
            )
            sizes_of(tokens, host, some, alone[1], options)


def sizes_of(
    tokens: str, host: EncoderHost, heard: Heard, alone: float, options: argparse.Namespace
) -> None:  # fmt: skip
    """A line for every size of the memory, on utterances of which one takes the host ``alone`` ms."""
    batch, count = len(heard), int(heard.lengths[0])
    for width, depth, chunk in itertools.product(options.width, options.depth, options.chunk):
        config = MemoryConfig(width=width, depth=depth, chunk=chunk)
        if chunk > min(options.chunk) and count + config.persistent <= min(options.chunk):
            continue  # one chunk, as before
        read, write = read_and_write(host, heard, config, options.repeat)
        token = [1e3 * found[1] / (batch * count) for found in (read, write)]
        share = [100 * found[1] / (batch * alone) for found in (read, write)]
        print(f"{tokens:6s}  {batch:5d}  {width:5d}  {depth:5d}  {chunk:5d}  {shown(read, batch)}"
              f"  {shown(write, batch)}  {token[0]:16.1f}  {token[1]:5.1f}"
              f"  {share[0]:15.2f}  {share[1]:5.2f}", flush=True)  # fmt: skip


def read_and_write(
    host: EncoderHost, heard: Heard, config: MemoryConfig, repeat: int
) -> tuple[list[float], list[float]]:
    """Times of both, after an utterance has been written."""
    torch.manual_seed(0)
    history, tokens, lengths = NeuralMemory(host.info.dim, config).eval(), host.tokens(heard), heard.lengths
    speaker = torch.zeros(len(lengths), dtype=torch.long)
    _, state = history(tokens, lengths, history.begin(len(lengths)), speaker)
    inside, slot = history.into(history.norm(tokens)), state.slot(speaker)
    read = quartiles(lambda: history(tokens, lengths, state, speaker, READS), repeat)
    return read, quartiles(lambda: history.write(inside, lengths, slot, ALL_ON), repeat)


def make_model(tokens: str, config: MemoryConfig | None) -> ConversationModel:
    """Host from features, memory or none, and a linear head."""
    torch.manual_seed(0)
    host = make_host(tokens, None)
    history = None if config is None else NeuralMemory(DIM, config)
    if history is not None:
        torch.nn.init.constant_(history.gate, 0.1)
    return ConversationModel(host, history, ConversationHeadConfig(), CLASSES, "dialogue")


@torch.no_grad()
def measure_dialogue(width: int, depth: int, options: argparse.Namespace) -> list[list[float]]:
    """(utterances heard, numbers of the state, its bytes, peak MB of the process) at several moments."""
    model = make_model("25/s", MemoryConfig(width=width, depth=depth)).eval()
    noise, state, here = Noise("25/s", options.seconds), model.begin(1), torch.zeros(1, dtype=torch.long)
    found = []
    for n in range(1, max(options.moments) + 1):
        _, _, state = model(noise.take([f"u-{n}"]), state, here)
        if n in options.moments:
            held = {
                v.untyped_storage().data_ptr(): v.untyped_storage().nbytes() for v in state.tensors.values()
            }
            found.append([n, state.numbers, sum(held.values()), peak_memory(CPU)])
    return found


def measure_training(tokens: str, truncation: int, options: argparse.Namespace) -> list[float]:
    """Quartiles of ms an utterance, and added MB, of a step on 8 dialogues of 16 utterances."""
    model = make_model(tokens, MemoryConfig() if truncation else None).train()
    noise, adam = Noise(tokens, options.seconds), torch.optim.AdamW(model.parameters(), 1e-4)
    names = [tuple(f"d{d}-{d + n}" for n in range(TURNS)) for d in range(DIALOGUES)]
    dialogues = [Dialogue(f"d{d}", each, ("s",) * TURNS) for d, each in enumerate(names)]
    targets = torch.arange(DIALOGUES) % CLASSES

    def step(turns: int = TURNS) -> None:
        shorter = [Dialogue(d.name, d.utterances[:turns], d.speakers[:turns]) for d in dialogues]
        steps = converse(model, shorter, noise, truncation=truncation or 1)
        while window := take_window(steps):
            losses = [F.cross_entropy(each.outputs, targets, reduction="sum") for each in window]
            (torch.stack(losses).sum() / (DIALOGUES * turns)).backward()
        adam.step()
        adam.zero_grad()

    step(1)  # libraries and the optimiser's moments are there
    held = peak_memory(CPU)
    times = [value / (DIALOGUES * TURNS) for value in quartiles(step, options.repeat)]
    return [*times, peak_memory(CPU) - held]


def in_own_process(*row: object) -> list:
    """What ``--measure`` prints of a row."""
    command = [sys.executable, *sys.argv, "--measure", *map(str, row)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def dialogue(options: argparse.Namespace) -> None:
    """State and process while a dialogue goes on."""
    if options.measure:
        print(json.dumps(measure_dialogue(*map(int, options.measure), options)))
        return
    print("width  depth  utterances  numbers of the state     bytes  peak MB of the process")
    for width, depth in itertools.product(options.width, options.depth):
        for n, numbers, held, peak in in_own_process(width, depth):
            print(f"{width:5d}  {depth:5d}  {n:10d}  {numbers:20d}  {held:8d}  {peak:22.1f}", flush=True)


def training(options: argparse.Namespace) -> None:
    """A step by the length of back-propagation; 0 is without history."""
    if options.measure:
        tokens, truncation = options.measure
        print(json.dumps(measure_training(tokens, int(truncation), options)))
        return
    print(f"{DIALOGUES} dialogues of {TURNS} utterances a step; memory of width 256, depth 2, chunk 64")
    print("tokens  through   ms an utterance                added MB")
    for tokens, truncation in itertools.product(options.tokens, (0, *options.truncation)):
        *times, added = in_own_process(tokens, truncation)
        through = f"{truncation:7d}" if truncation else "no hist"
        print(f"{tokens:6s}  {through}  {shown(times)}  {added:8.0f}", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    tables = {"layer": layer, "dialogue": dialogue, "training": training}
    parser.add_argument("table", choices=list(tables))
    parser.add_argument("--width", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--depth", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--chunk", type=int, nargs="+", default=[16, 64, 256], help="of layer")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8], help="of layer")
    parser.add_argument(
        "--encoder", default="{}", metavar="JSON", help="WavLM of layer, as in its config.json"
    )
    parser.add_argument("--moments", type=int, nargs="+", default=[1, 10, 100, 1000], help="of dialogue")
    parser.add_argument("--tokens", nargs="+", choices=list(TOKENS), default=list(TOKENS),
                        help="of layer and training")  # fmt: skip
    parser.add_argument("--truncation", type=int, nargs="+", default=[1, 8, 16], help="of training")
    parser.add_argument("--seconds", type=float, default=5.0, help="of an utterance")
    parser.add_argument("--repeat", type=int, default=20, help="of which the median is told")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    tables[options.table](options)


if __name__ == "__main__":
    main()
