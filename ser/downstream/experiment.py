"""An experiment on disk: exp/<tag>/ with its configuration, folds and seeds."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ser.core.config import Parser, to_plain
from ser.core.errors import UserError
from ser.core.files import read_json, read_yaml, sha256, write_yaml
from ser.data.datadir import DataDir
from ser.downstream.config import TrainConfig


@dataclass
class Sources:
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

    def pairs(self) -> dict[str, tuple[Path, Path]]:
        """Source name -> (data directory, features): ``train``, ``validation``, each test set by name."""
        found = {"train": (self.data, self.feats)}
        if self.validation_data is not None and self.validation_feats is not None:
            found["validation"] = (self.validation_data, self.validation_feats)
        for data, feats in zip(self.test_data, self.test_feats, strict=True):
            if data.name in found:
                raise UserError("two sets of one name", value=data.name, hint="Rename the data directory")
            found[data.name] = (data, feats)
        return found

    def fingerprint(self) -> str:
        """Changes when any label, split or feature does; neither with time nor with place."""
        digest = hashlib.sha256()
        for name, (data, feats) in self.pairs().items():
            digest.update(name.encode())
            for table in sorted(data.glob("*")):
                if table.is_file() and table.name != "wav.scp":
                    digest.update(f"{table.name} {sha256(table)}\n".encode())
            for part in ("meta.yaml", "pooled_mean.scp"):
                if (feats / part).is_file():
                    digest.update(sha256(feats / part).encode())
        return digest.hexdigest()


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

    def load_config(self) -> tuple[TrainConfig, Sources]:
        """The resolved configuration that ``save_config`` wrote."""
        saved = read_yaml(self.path / "config.yaml")
        parser = Parser(prog="ser predict")
        parser.add_class_arguments(TrainConfig, "train")
        parser.add_class_arguments(Sources, "sources")
        loaded = parser.instantiate(parser.parse_object(saved))
        return loaded.train, loaded.sources

    def save_config(self, config: TrainConfig, sources: Sources) -> None:
        """Write config.yaml, from which training and prediction can be repeated."""
        write_yaml(self.path / "config.yaml", {"train": to_plain(config), "sources": to_plain(sources)})

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


def training_fingerprint(config: TrainConfig, sources: Sources) -> str:
    """Hash of everything that a fold's model depends on, seed and fold aside."""
    text = json.dumps([asdict(config), sources.fingerprint()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def load_sets(sources: Sources) -> dict[str, tuple[DataDir, Path]]:
    """Source name -> (loaded data directory, features).

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
    experiment: Experiment, config: TrainConfig, feats: Path, protocol: str, task: Any, data: DataDir
) -> None:
    """Write info.yaml: what tables say of this system besides its scores."""
    upstream, timing = read_yaml(feats / "meta.yaml"), feats / "timing.json"
    name, options = config.describe(upstream["layers"], upstream["frame_rate"])
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
            "timing": read_json(timing) if timing.is_file() else None,
        },
    )
