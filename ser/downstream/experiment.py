"""An experiment on disk: exp/<tag>/ with its configuration, folds and seeds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ser.core.config import Parser, to_plain
from ser.core.errors import UserError
from ser.core.files import read_json, read_yaml, sha256, write_yaml
from ser.data.datadir import DataDir
from ser.data.table import read_table
from ser.downstream.conditioning.sources import TextSources
from ser.downstream.config import TrainConfig
from ser.downstream.finetune.config import FinetuneConfig

if TYPE_CHECKING:
    from ser.upstream.base import Upstream

# Keys of config.yaml, by which the kinds of experiment are told apart; the last is of ser.memory.
TRAINED, FINE_TUNED, CONVERSATION = "train", "finetune", "conversation"


@dataclass
class Sources(TextSources):
    """Where an experiment's data and features are.

    Args:
        data: training data directory (or, for cross-validation, the only one).
        feats: its features.
        validation_data: the corpus's validation set, if it has one.
        validation_feats: its features.
        test_data: the corpus's test sets; empty for cross-validation.
        test_feats: their features, in the same order.
    """

    data: Path
    feats: Path
    validation_data: Path | None = None
    validation_feats: Path | None = None
    test_data: list[Path] = field(default_factory=list)
    test_feats: list[Path] = field(default_factory=list)

    def check(self) -> None:
        """Refuse a data directory without its features, or the reverse.

        Raises:
            UserError: naming the options.
        """
        if (self.validation_data is None) != (self.validation_feats is None):
            raise UserError("--validation-data and --validation-feats go together")
        if len(self.test_data) != len(self.test_feats):
            raise UserError("--test-data and --test-feats want the same number of folders")
        if not self.test_data and self.validation_data is not None:
            raise UserError("a validation set without a test set", hint="Give --test-data and --test-feats")
        self.check_text(self.validation_data is not None, len(self.test_data))

    def pairs(self) -> dict[str, tuple[Path, Path]]:
        """Source name -> (data directory, features): ``train``, ``validation``, each test set by name."""
        tests = zip(self.test_data, self.test_feats, strict=True)
        return name_sets((self.data, self.feats), (self.validation_data, self.validation_feats), tests)

    def fingerprint(self) -> str:
        """Changes when any label, split or feature does; neither with time nor with place."""
        digest = hashlib.sha256()
        for name, (data, feats) in self.pairs().items():
            digest.update(name.encode())
            hash_tables(digest, data)
            for part in ("meta.yaml", "pooled_mean.scp"):
                if (feats / part).is_file():
                    digest.update(sha256(feats / part).encode())
        self.hash_text(digest, self.pairs())
        return digest.hexdigest()


@dataclass
class AudioSources(TextSources):
    """Where a fine-tuned experiment's data are, and what hears them.

    Args:
        data: training data directory (or, for cross-validation, the only one).
        upstream: name of the encoder to start from.
        validation_data: the corpus's validation set, if it has one.
        test_data: the corpus's test sets; empty for cross-validation.
        context: what Whisper sees: ``length`` or ``30 s``.
        speakers: for a personalised encoder: of which training speakers others are made (``ser speakers``).
        skip_broken: leave out audio that cannot be used, instead of stopping.
    """

    data: Path
    upstream: str
    validation_data: Path | None = None
    test_data: list[Path] = field(default_factory=list)
    context: str = "length"
    speakers: Path | None = None
    skip_broken: bool = False

    def check(self) -> None:
        """Refuse a validation set without a test set, and text of some sets only.

        Raises:
            UserError: naming the options.
        """
        if not self.test_data and self.validation_data is not None:
            raise UserError("a validation set without a test set", hint="Give --test-data")
        self.check_text(self.validation_data is not None, len(self.test_data))

    def pairs(self) -> dict[str, tuple[Path, None]]:
        """Source name -> (data directory, no features), as ``Sources`` has it."""
        tests = ((data, None) for data in self.test_data)
        return name_sets((self.data, None), (self.validation_data, None), tests)

    def fingerprint(self, upstream: Upstream) -> str:
        """Changes when any label, split, audio file's size or the upstream does; not with time or place."""
        digest = hashlib.sha256()
        for name, (data, _) in self.pairs().items():
            digest.update(name.encode())
            hash_tables(digest, data)
            hash_audio(digest, data)
        facts = {key: value for key, value in asdict(upstream.info).items() if key != "name"}
        facts |= {"settings": dict(upstream.settings), "skip_broken": self.skip_broken}
        digest.update(json.dumps(facts, sort_keys=True, default=str).encode())
        self.hash_text(digest, self.pairs())
        return digest.hexdigest()


def hash_tables(digest: hashlib._Hash, data: Path) -> None:
    """Add a data directory's tables to a digest; wav.scp aside, which has paths in it."""
    for table in sorted(data.glob("*")):
        if table.is_file() and table.name != "wav.scp":
            digest.update(f"{table.name} {sha256(table)}\n".encode())


def hash_audio(digest: hashlib._Hash, data: Path) -> None:
    """Add the names and sizes of a data directory's audio files to a digest, whatever their place."""
    for key, entry in read_table(data / "wav.scp").items():
        size = Path(entry).stat().st_size if Path(entry).is_file() else entry
        digest.update(f"{key} {size}\n".encode())


Pair = tuple[Path, Any]


def name_sets(
    train: Pair, validation: tuple[Path | None, Any], tests: Iterable[Pair]
) -> dict[str, tuple[Path, Any]]:
    """Source name -> (data directory, what goes with it): ``train``, ``validation``, each test set by name.

    Raises:
        UserError: for two of one name.
    """
    found = {"train": train}
    if validation[0] is not None:
        found["validation"] = (validation[0], validation[1])
    for data, other in tests:
        if data.name in found:
            raise UserError("two sets of one name", value=data.name, hint="Rename the data directory")
        found[data.name] = (data, other)
    return found


KINDS = {TRAINED: (TrainConfig, Sources), FINE_TUNED: (FinetuneConfig, AudioSources)}


@dataclass(frozen=True)
class Experiment:
    """Names of an experiment's files.

    Args:
        path: exp/<tag>.
    """

    path: Path

    def fold_dir(self, seed: int, fold: str) -> Path:
        """exp/<tag>/seed<k>/fold<j>."""
        return self.path / f"seed{seed}" / f"fold{fold}"

    def fold_dirs(self) -> list[Path]:
        """Every trained fold, in order.

        Raises:
            UserError: when there is none.
        """
        found = sorted(path.parent for path in self.path.glob("seed*/fold*/fit.json"))
        if not found:
            raise UserError("no trained fold", file=self.path, hint="Run stage 8 (train)")
        return found

    def is_fine_tuned(self) -> bool:
        """Whether it learns from audio (``ser finetune``), not from features (``ser train``)."""
        return FINE_TUNED in self._saved_config()

    def _saved_config(self) -> dict[str, Any]:
        """config.yaml as it stands.

        Raises:
            UserError: when it is no mapping with the options of a verb that trains.
        """
        path = self.path / "config.yaml"
        saved = read_yaml(path)
        if not isinstance(saved, dict) or not saved.keys() & {*KINDS, CONVERSATION}:
            raise UserError("not what 'ser train' writes", file=path, hint="Run stage 8 (train) again")
        return saved

    def load_config(self) -> tuple[TrainConfig | FinetuneConfig, Sources | AudioSources]:
        """The resolved configuration that ``save_config`` wrote.

        Raises:
            UserError: when it is another file, of another release, or of conversations.
        """
        saved = self._saved_config()
        if CONVERSATION in saved:
            raise UserError(
                "an experiment on conversations", file=self.path,
                hint="Use 'ser memory-predict', or ser.memory.stream from Python",
            )  # fmt: skip
        parser = Parser(prog="ser predict")
        name = FINE_TUNED if FINE_TUNED in saved else TRAINED
        config, sources = KINDS[name]
        parser.add_class_arguments(config, name)
        parser.add_class_arguments(sources, "sources")
        loaded = parser.instantiate_saved(saved, self.path / "config.yaml", "Run stage 8 (train) again")
        return loaded[name], loaded.sources

    def save_config(self, config: TrainConfig | FinetuneConfig, sources: Sources | AudioSources) -> None:
        """Write config.yaml, from which training and prediction can be repeated."""
        name = FINE_TUNED if isinstance(config, FinetuneConfig) else TRAINED
        write_yaml(self.path / "config.yaml", {name: to_plain(config), "sources": to_plain(sources)})

    def is_trained(self, seed: int, fold: str, fingerprint: str) -> bool:
        """Whether this fold was trained, to its end, from the same configuration, data and features."""
        folder = self.fold_dir(seed, fold)
        try:
            return (
                read_json(folder / "fit.json")["fingerprint"] == fingerprint
                and (folder / "model.safetensors").is_file()
            )
        except (UserError, KeyError, TypeError):
            return False


def training_fingerprint(config: TrainConfig | FinetuneConfig, sources: str) -> str:
    """Hash of everything that a fold's model depends on, seed and fold aside.

    Args:
        config: the options.
        sources: fingerprint of the data, and of features or upstream.
    """
    options = asdict(config)
    for group in ("gender", "text"):  # off, they change nothing: experiments of older releases stay trained
        if options[group]["fusion"] == "none" and not options[group].get("task"):
            del options[group]
    text = json.dumps([options, sources], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def load_sets(sources: Sources | AudioSources) -> dict[str, tuple[DataDir, Path | None]]:
    """Source name -> (loaded data directory, features; None where the audio itself is used).

    Raises:
        UserError: when the sets disagree on classes.
    """
    loaded = {name: (DataDir.load(data), feats) for name, (data, feats) in sources.pairs().items()}
    classes = loaded["train"][0].labels.classes
    for data, _ in loaded.values():
        if data.labels.classes and data.labels.classes != classes:
            raise UserError(
                "another list of classes than the training set's",
                file=data.path / "labels.yaml",
                value=data.labels.classes,
                hint="Make all sets with the same ser prepare call",
            )
    return loaded


def write_info(
    experiment: Experiment,
    description: tuple[str, list[str]],
    upstream: dict[str, Any],
    protocol: str,
    task: Any,
    data: DataDir,
    **others: Any,
) -> None:
    """Write info.yaml: what tables say of this system besides its scores.

    Args:
        experiment: where.
        description: (name, notable options).
        upstream: content of meta.yaml, or the like.
        protocol: who is tested, in words.
        task: the outputs by name.
        data: the training data.
        others: further entries (``timing``, ``transductive``).
    """
    name, options = description
    write_yaml(
        experiment.path / "info.yaml",
        {
            "name": name,
            "options": options,
            "protocol": protocol,
            "task": {"classes": task.classes, "attributes": task.attributes},
            "data": str(data.path),
            "corpus": data.labels.corpus,
            "derived": list(data.labels.derived),
            "ranges": {name: to_plain(data.labels.attributes[name]) for name in task.attributes},
            "upstream": upstream,
            **others,
        },
    )
