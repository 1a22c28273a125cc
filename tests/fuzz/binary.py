"""Readers of binary files: arks, checkpoints, audio; with valid contents and what a right result is."""

import io
import json
import pickle
from pathlib import Path

import kaldiio
import numpy as np
import soundfile
import torch
from safetensors.torch import save as save_tensors
from torch import nn

from ser.data.arks import ArkReader, ArkWriter
from ser.data.audio import AudioReader
from ser.data.audio_header import read_header
from ser.data.datadir import DataDir
from ser.data.labels import LabelSchema
from ser.data.table import write_table
from ser.downstream.config import ModelConfig
from ser.downstream.model import UtteranceModel
from ser.downstream.saved import SavedModel, Scale
from ser.engine.checkpoint import read_metadata, read_state
from ser.engine.loop import BestEpoch
from ser.engine.resume import TrainingState
from ser.memory.baselines import make_history
from ser.memory.config import ConversationHeadConfig, EncoderHostConfig, HistoryConfig, MemoryConfig
from ser.memory.hosts.encoder import EncoderHost
from ser.memory.model import ConversationModel
from ser.memory.saved import SavedConversation
from ser.papt.checkpoint import load_checkpoint
from ser.papt.kmeans import KMeans
from tests.fuzz.harness import CANARY, Parser


class Canary:
    """What a hostile pickle does when it is loaded."""

    def __reduce__(self):
        return open, (CANARY, "w")


HOSTILE = pickle.dumps(Canary())
ARRAYS = {"m": np.float32([[1, 2.5, 3], [4, 5, 6]]), "v": np.float32([1.5, -2]), "i": np.int32([3, 1, 2])}


def _ark(
    folder: Path, text: bool = False, compression: int | None = None, double: bool = False
) -> tuple[bytes, dict]:
    """An ark by kaldiio, and the offset of each array."""
    arrays = {k: a.astype(np.float64) if double and a.dtype == np.float32 else a for k, a in ARRAYS.items()}
    if compression:  # of matrices alone
        arrays = {"m": arrays["m"], "v": arrays["m"].T}
    kaldiio.save_ark(
        str(folder / "x.ark"), arrays, scp=str(folder / "x.scp"), text=text, compression_method=compression
    )
    lines = (folder / "x.scp").read_text().splitlines()
    return (folder / "x.ark").read_bytes(), {line.split()[0]: int(line.rpartition(":")[2]) for line in lines}


def read_ark(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an ark at the places where a valid one has them; a damaged one may lie about another."""
    places = json.loads((path.parent / "places.json").read_text())
    write_table(path.with_name("x.scp"), {key: f"{path}:{offset}" for key, offset in places.items()})
    return dict(ArkReader(path.with_name("x.scp")))


def check_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Matrices and vectors, no larger than the file can hold."""
    for array in arrays.values():
        assert array.dtype in (np.float32, np.int32) and array.ndim in (1, 2)
        assert array.size <= path.stat().st_size


def read_entry(path: Path):
    """An array of an scp whose lines are the user's."""
    reader = ArkReader(path)
    return reader.load(list(reader))


def ark_parsers(folder: Path) -> dict[str, Parser]:
    """Every kind of ark; each has its own places."""
    found = {}
    kinds = {
        "binary": {},
        "text": {"text": True},
        "compressed": {"compression": 2},
        "two bytes": {"compression": 3},
        "doubles": {"double": True},
    }
    for name, options in kinds.items():
        content, places = _ark(folder, **options)

        def read(path: Path, places: dict = places):
            (path.parent / "places.json").write_text(json.dumps(places))
            return read_ark(path)

        pickled = content[: places["v"]] + b"PKL" + HOSTILE
        found[f"ark, {name}"] = Parser("x.ark", read, (content,), check_arrays)
        found[f"ark, {name}, pickled"] = Parser("x.ark", read, (pickled,), check_arrays)
    with ArkWriter(folder / "entry") as writer:
        for key, array in ARRAYS.items():
            writer.write(key, array)
    found["scp and its arks"] = Parser("entry.scp", read_entry, ((folder / "entry.scp").read_bytes(),))
    return found


def small_model() -> UtteranceModel:
    """Two classes and an attribute on one layer of three numbers."""
    torch.manual_seed(0)
    return UtteranceModel(ModelConfig(), (1, 1, 3), 3)


def model_parser(folder: Path) -> Parser:
    """model.safetensors as ``ser train`` leaves it."""
    model = small_model()
    SavedModel(model, ModelConfig(), (1, 1, 3), ["anger", "joy"], {"arousal": Scale(0.0, 1.0)}).save(
        folder / "m.safetensors"
    )
    return Parser(
        "model.safetensors", SavedModel.load, ((folder / "m.safetensors").read_bytes(),), check_model
    )


def conversation_parser(folder: Path) -> Parser:
    """model.safetensors as ``ser memory-train`` leaves it, of an encoder host."""
    torch.manual_seed(0)
    config, memory = EncoderHostConfig(layer=0, pooling="mean"), MemoryConfig(width=3, depth=1, persistent=1)
    meta = dict.fromkeys(("upstream", "tag", "family", "checkpoint"), "x") | {"sample_rate": 16000}

    def build(shape: tuple[int, ...], outputs: int) -> ConversationModel:
        host = EncoderHost(config, shape, meta)
        history = make_history(HistoryConfig(), memory, host.info.dim)
        return ConversationModel(host, history, ConversationHeadConfig(), outputs, "speaker")

    model = build((1, 1, 3), 3)
    saved = SavedConversation(model, ["anger", "joy"], {"arousal": Scale(0.0, 1.0)}, (1, 1, 3))
    saved.save(folder / "t.safetensors", model.trained_state())
    return Parser(
        "model.safetensors",
        lambda path: SavedConversation.load(path, build),
        ((folder / "t.safetensors").read_bytes(),),
    )


def check_model(path: Path, saved: SavedModel) -> None:
    """It can predict: a column a class and an attribute."""
    vectors = torch.zeros(2, saved.shape[0] * saved.shape[2])
    assert saved.predict(vectors).shape == (2, len(saved.classes) + len(saved.attributes))


class Tuned(nn.Linear):
    """The part of a fine-tuned model that its state wants."""

    def trained_state(self) -> dict:
        return dict(self.state_dict())

    def load_trained_state(self, state: dict) -> None:
        self.load_state_dict(state)


def tuned() -> tuple[Tuned, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = Tuned(2, 1)
    return model, torch.optim.Adam(model.parameters())


def fine_tuning_parser(folder: Path) -> Parser:
    """resume.pt: from a broken one the run starts over, as if there had been none."""
    model, optimizer = tuned()
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    state = TrainingState(BestEpoch(patience=3), epoch=2, step=5, seconds=1.5)
    state.best.epoch, state.best.value = 2, 0.5
    state.save(folder, "f", model, optimizer, None)
    content = (folder / "resume.pt").read_bytes()

    def read(path: Path):
        model, optimizer = tuned()
        before = {name: value.clone() for name, value in model.state_dict().items()}
        state = TrainingState(BestEpoch(patience=3))
        went_on = state.load(path.parent, "f", model, optimizer, None)
        if not went_on:
            assert (state.epoch, state.step, state.best.epoch) == (0, 0, BestEpoch(patience=3).epoch)
            assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
            assert not optimizer.state_dict()["state"]
        return went_on

    hostile = io.BytesIO()
    torch.save({"fingerprint": "f", "model": Canary()}, hostile)
    return Parser("resume.pt", read, (content, hostile.getvalue()))


def pretraining_parser(folder: Path) -> Parser:
    """checkpoint.pt of a pre-training."""
    from ser.papt.checkpoint import Progress, save_checkpoint

    model, optimizer = tuned()
    save_checkpoint(folder, "f", model, optimizer, None, Progress(step=3))
    hostile = io.BytesIO()
    torch.save({"fingerprint": "f", "model": Canary()}, hostile)

    def read(path: Path):
        return load_checkpoint(path.parent, "f", *tuned(), None)

    return Parser(
        "checkpoint.pt", read, ((folder / "checkpoint.pt").read_bytes(), hostile.getvalue(), HOSTILE)
    )


def tensors_parsers(folder: Path) -> dict[str, Parser]:
    """Tensors and metadata by themselves, and centroids."""
    content = save_tensors(
        {"a": torch.ones(2, 3), "b": torch.zeros(1)}, metadata={"ser": json.dumps({"x": 1})}
    )
    KMeans(np.ones((2, 3), np.float32)).save(folder / "c.safetensors", {"layer": 1})

    def read(path: Path):
        return read_metadata(path), read_state(path)

    return {
        "safetensors": Parser("x.safetensors", read, (content,)),
        "centroids": Parser("kmeans.safetensors", KMeans.load, ((folder / "c.safetensors").read_bytes(),)),
    }


def read_audio(path: Path):
    """Header and samples."""
    data = DataDir(
        path.parent, LabelSchema("toy"), {"utt2spk": {"a-1": "a"}}, {"wav.scp": {"a-1": str(path)}}
    )
    return read_header(path, "a-1"), AudioReader(data).read("a-1")


def check_audio(path: Path, result: tuple) -> None:
    """Samples are finite, and their duration is the header's."""
    header, samples = result
    assert samples.dtype == np.float32 and np.isfinite(samples).all() and len(samples)
    assert abs(len(samples) / 16000 - header.seconds) < 2 / header.rate + 2 / 16000


def audio_parsers() -> dict[str, Parser]:
    """Wav of several kinds, flac and ogg, a few hundredths of a second long."""
    time, found = np.arange(400) / 8000, {}
    tone = np.stack([np.sin(2 * np.pi * 200 * time), np.cos(2 * np.pi * 300 * time)], 1) / 2
    for suffix, subtype, rate in (
        ("wav", "PCM_16", 8000),
        ("wav", "FLOAT", 16000),
        ("wav", "ULAW", 8000),
        ("flac", "PCM_16", 16000),
        ("ogg", "VORBIS", 16000),
    ):
        stream = io.BytesIO()
        soundfile.write(stream, tone, rate, format=suffix, subtype=subtype)
        found[f"{suffix} {subtype}"] = Parser(f"x.{suffix}", read_audio, (stream.getvalue(),), check_audio)
    stream = io.BytesIO()
    soundfile.write(stream, tone, 8000, format="RF64", subtype="PCM_16")
    found["rf64"] = Parser("x.wav", read_audio, (stream.getvalue(),), check_audio)
    return found


def make_parsers(folder: Path) -> dict[str, Parser]:
    """All of them; ``folder`` is for the making of valid files."""
    return {
        **ark_parsers(folder), **tensors_parsers(folder), **audio_parsers(), "model": model_parser(folder),
        "model of conversations": conversation_parser(folder),
        "resume.pt": fine_tuning_parser(folder), "checkpoint.pt": pretraining_parser(folder),
    }  # fmt: skip
