"""An experiment on conversations on disk: its configuration, its sources, and how its model is built."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ser.core.config import Parser, to_plain
from ser.core.errors import UserError
from ser.core.files import read_yaml, sha256, write_yaml
from ser.data.datadir import DataDir
from ser.downstream.examples import statistics_needed
from ser.downstream.experiment import CONVERSATION, Experiment, hash_audio, hash_tables, name_sets
from ser.memory.baselines import make_history
from ser.memory.config import MalConfig
from ser.memory.hosts.base import Host
from ser.memory.hosts.encoder import EncoderHost
from ser.memory.listening import AudioListening, FrameListening, Listening, PooledListening
from ser.memory.model import ConversationModel
from ser.upstream import load_upstream
from ser.upstream.registry import resolve_device


@dataclass
class ConversationSources:
    """Where the conversations are, and what hears them: features of an upstream, or an audio language model.

    Args:
        data: training data directory (or, for cross-validation, the only one).
        feats: its features, for an encoder host.
        host: folder or hub name of an audio language model, instead.
        validation_data: the corpus's validation set, if it has one.
        validation_feats: its features.
        test_data: the corpus's test sets; empty for cross-validation.
        test_feats: their features, in the same order.
    """

    data: Path
    feats: Path | None = None
    host: str | None = None
    validation_data: Path | None = None
    validation_feats: Path | None = None
    test_data: list[Path] = field(default_factory=list)
    test_feats: list[Path] = field(default_factory=list)

    def check(self) -> None:
        """Refuse what does not go together.

        Raises:
            UserError: naming the options.
        """
        if (self.feats is None) == (self.host is None):
            raise UserError("give either --feats, for an upstream, or --host, for an audio language model")
        others = [self.validation_feats, *self.test_feats]
        if self.host is not None and any(others):
            raise UserError("a language model hears the audio itself", hint="Leave out the feats")
        if self.host is None:
            if (self.validation_data is None) != (self.validation_feats is None):
                raise UserError("--validation-data and --validation-feats go together")
            if len(self.test_data) != len(self.test_feats):
                raise UserError("--test-data and --test-feats want the same number of folders")
        if not self.test_data and self.validation_data is not None:
            raise UserError("a validation set without a test set", hint="Give --test-data")

    def pairs(self) -> dict[str, tuple[Path, Path | None]]:
        """Source name -> (data directory, features; None for a language model)."""
        feats = self.test_feats if self.host is None else [None] * len(self.test_data)
        tests = zip(self.test_data, feats, strict=True)
        return name_sets((self.data, self.feats), (self.validation_data, self.validation_feats), tests)

    def fingerprint(self, checkpoint: str) -> str:
        """Changes when label, split, feature, audio file's size or host does; not with time or place."""
        digest = hashlib.sha256(checkpoint.encode())
        for name, (data, feats) in self.pairs().items():
            digest.update(name.encode())
            hash_tables(digest, data)
            if feats is None:
                hash_audio(digest, data)
                continue
            for part in [*sorted(feats.glob("*.scp")), feats / "meta.yaml"]:
                digest.update(sha256(part).encode() if part.is_file() else b"-")
        return digest.hexdigest()


class ConversationExperiment(Experiment):
    """exp/<tag> of ``ser memory-train``."""

    def load_config(self) -> tuple[MalConfig, ConversationSources]:
        """The resolved configuration that ``save_config`` wrote.

        Raises:
            UserError: for an experiment of another kind or release.
        """
        path = self.path / "config.yaml"
        if not path.is_file():
            raise UserError("no such experiment", file=path, hint="Run 'ser memory-train'")
        saved = read_yaml(path)
        if not isinstance(saved, dict) or CONVERSATION not in saved:
            raise UserError("not an experiment of ser memory-train", file=path, hint="Use 'ser predict'")
        parser = Parser(prog="ser memory-predict")
        parser.add_class_arguments(MalConfig, CONVERSATION)
        parser.add_class_arguments(ConversationSources, "sources")
        loaded = parser.instantiate_saved(saved, path, "Run 'ser memory-train' again")
        names = MalConfig.__dataclass_fields__
        group = loaded[CONVERSATION]
        config = group if isinstance(group, MalConfig) else MalConfig(**{name: group[name] for name in names})
        return config, loaded.sources

    def save_config(self, config: MalConfig, sources: ConversationSources) -> None:
        """Write config.yaml, from which training and prediction can be repeated."""
        write_yaml(self.path / "config.yaml", {CONVERSATION: to_plain(config), "sources": to_plain(sources)})


@dataclass
class Stage:
    """What training and prediction stand on: data, host, and where its input comes from.

    Args:
        config: the options.
        sources: of the experiment.
        sets: source name -> (data directory, features).
        classes: names of the classes that are learnt.
        device: where it runs.
        meta: meta.yaml of the features; empty for a language model.
    """

    config: MalConfig
    sources: ConversationSources
    sets: dict[str, tuple[DataDir, Path | None]]
    classes: list[str]
    device: torch.device
    meta: Mapping[str, Any] = field(default_factory=dict)
    _language_model: Host | None = None
    _untrained: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def open(
        cls, config: MalConfig, sources: ConversationSources, sets: dict[str, tuple[DataDir, Path | None]],
        device: torch.device | str,
    ) -> Stage:  # fmt: skip
        """Look at the features, or load the language model.

        Raises:
            UserError: when they are not to be had, or not of one upstream.
        """
        classes = sets["train"][0].labels.classes if config.task.emotion else []
        found = cls(config, sources, sets, classes, torch.device(device))
        if sources.host is not None:
            # Not for what runs on features: it wants transformers.
            from ser.memory.hosts.audio_lm import load_audio_lm

            model = load_audio_lm(sources.host, config.language_model, classes, str(device))
            found._language_model = model
            found._untrained = {name: value.clone() for name, value in model.trained_state().items()}
            return found
        metas = {}
        for _, feats in sets.values():
            if not (feats / "meta.yaml").is_file():
                raise UserError("no such features", file=feats / "meta.yaml", hint="Run stage 3 (extract)")
            metas[feats] = read_yaml(feats / "meta.yaml")
        first = next(iter(metas.values()))
        for feats, meta in metas.items():
            if meta["checkpoint"] != first["checkpoint"]:
                raise UserError(
                    "features of another upstream than the training set's", file=feats / "meta.yaml",
                    value=meta["upstream"], hint="Extract all sets with one upstream",
                )  # fmt: skip
        found.meta = first
        return found

    @property
    def checkpoint(self) -> str:
        """Hash of the host's weights."""
        return self._language_model.info.checkpoint if self._language_model else str(self.meta["checkpoint"])

    def listening(self, names: list[str]) -> Listening:
        """The host's input of some sets."""
        if self._language_model is not None:
            return AudioListening([self.sets[name][0] for name in names], self._language_model)
        folders: dict[Path, list[str]] = {}
        for name in names:
            data, feats = self.sets[name]
            folders.setdefault(feats, []).extend(data.utterances)
        if self.config.encoder.tokens == "frames":
            return FrameListening(folders, self.config.encoder)
        return PooledListening(folders, statistics_needed(self.config.encoder.pooling, next(iter(folders))))

    def host(self, shape: tuple[int, ...] = ()) -> Host:
        """The host, on the device.

        Args:
            shape: of the features, for an encoder.
        """
        if self._language_model is not None:
            self._language_model.load_trained_state(self._untrained)  # another fold may have trained it
            return self._language_model
        open_upstream: Callable = partial(
            load_upstream, self.meta["upstream"], str(self.device), context=self.meta.get("context", "length")
        )
        return EncoderHost(self.config.encoder, shape, self.meta, open_upstream).to(self.device)

    def model(self, shape: tuple[int, ...], outputs: int) -> ConversationModel:
        """An untrained model."""
        config, host = self.config, self.host(shape)
        in_words = self._language_model is not None and config.language_model.answer == "word"
        history = make_history(config.history, config.memory, host.info.dim)
        head = None if in_words else config.head
        return ConversationModel(host, history, head, outputs, config.history.scope).to(self.device)

    @property
    def fingerprint(self) -> str:
        """Hash of everything that a fold's model depends on, seed and fold aside."""
        text = json.dumps([asdict(self.config), self.sources.fingerprint(self.checkpoint)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def open_stage(config: MalConfig, sources: ConversationSources, sets: dict, device: str = "auto") -> Stage:
    """``Stage.open`` on a device by name: ``auto``, ``cpu``, ``cuda``."""
    return Stage.open(config, sources, sets, resolve_device(device))
