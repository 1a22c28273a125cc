"""The experiments that are fused, side by side: outputs by name, utterances by name, folds by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ser.core.errors import UserError
from ser.core.files import read_yaml
from ser.core.log import get_logger
from ser.data.arks import ArkReader
from ser.data.datadir import DataDir
from ser.data.wording import counted, first_few
from ser.downstream.experiment import Experiment
from ser.downstream.validated import FOLDER as VALIDATION
from ser.personalise.fold import FIXED_PARTS, load_data

logger = get_logger(__name__)

PREDICT = "Run 'ser predict'"


@dataclass(frozen=True)
class Outputs:
    """What all members predict.

    Attributes:
        classes: in the first member's order; empty where not all predict classes.
        attributes: in the first member's order.
    """

    classes: list[str]
    attributes: list[str]


@dataclass(frozen=True)
class Part:
    """What the members say of some utterances.

    Attributes:
        utterances: N ids, in the first member's order.
        values: ``(M, N, K + A)``, float64.
    """

    utterances: list[str]
    values: np.ndarray


@dataclass(frozen=True)
class Members:
    """Two or more experiments that belong together.

    Attributes:
        experiments: M of them.
        names: short and different.
        infos: their info.yaml.
        folds: ``seed<k>/fold<j>``, the same in all.
        outputs: what all of them predict.
        sets: source name -> data directory, of the first.
    """

    experiments: list[Experiment]
    names: list[str]
    infos: list[dict[str, Any]]
    folds: list[Path]
    outputs: Outputs
    sets: dict[str, DataDir]

    @classmethod
    def of(cls, paths: Sequence[Path]) -> Members:
        """Read what the experiments are, and check that they belong together.

        Raises:
            UserError: for fewer than two, one given twice, other seeds, folds, protocols or classes, and
                nothing that all of them predict.
        """
        if len(paths) < 2:
            raise UserError("a fusion wants two experiments or more", value=" ".join(map(str, paths)))
        twice = sorted({str(path) for path in paths if sum(p.resolve() == path.resolve() for p in paths) > 1})
        if twice:
            raise UserError("an experiment is given twice", value=twice[0])
        experiments = [Experiment(path) for path in paths]
        infos = [_info(path) for path in paths]
        folds = [[each.relative_to(e.path) for each in e.fold_dirs()] for e in experiments]
        for path, found in zip(paths[1:], folds[1:], strict=True):
            if differing := sorted(set(map(str, found)) ^ set(map(str, folds[0]))):
                raise UserError(
                    f"other seeds or folds than {paths[0]}: {first_few(differing)}",
                    file=path, hint="Train all members with the same --seeds on the same data",
                )  # fmt: skip
        for key, what in (("corpus", "corpus"), ("protocol", "protocol")):
            for path, info in zip(paths[1:], infos[1:], strict=True):
                if info.get(key) != infos[0].get(key):
                    raise UserError(
                        f"another {what} than that of {paths[0]}, {infos[0].get(key)!r}",
                        file=path / "info.yaml", value=info.get(key),
                    )  # fmt: skip
        names = [path.resolve().name for path in paths]
        if len(set(names)) < len(names):
            names = [str(path) for path in paths]
        return cls(experiments, names, infos, folds[0], _shared(paths, infos), load_data(experiments[0]))

    def data_of(self, part: str) -> DataDir:
        """The data directory of a part of the folds; of cross-validation there is one."""
        return self.sets["train"] if list(self.sets) == ["train"] else self.sets[part]

    def tests(self, fold: Path) -> list[str]:
        """Test sets that have been predicted in a fold, the same by all.

        Raises:
            UserError: when there is none, or a member lacks one.
        """
        found = [
            {p.parent.name for p in (e.path / fold).glob("*/pred.scp")} - set(FIXED_PARTS)
            for e in self.experiments
        ]
        every = set().union(*found)
        for experiment, own in zip(self.experiments, found, strict=True):
            if lacking := sorted(every - own):
                raise UserError(
                    f"no predictions of set {lacking[0]!r}, which other members have",
                    file=experiment.path / fold, hint=PREDICT,
                )  # fmt: skip
        if not every:
            raise UserError("nothing is predicted", file=self.experiments[0].path / fold, hint=PREDICT)
        return sorted(every)

    def validated(self, fold: Path) -> list[str]:
        """Names of the members without validation predictions of a fold."""
        return [
            name for name, e in zip(self.names, self.experiments, strict=True)
            if not (e.path / fold / VALIDATION / "pred.scp").is_file()
        ]  # fmt: skip

    def part(self, fold: Path, name: str) -> Part:
        """Predictions of a part of a fold by all members.

        Raises:
            UserError: for missing or malformed predictions, and members with other utterances.
        """
        readers = [_open(e.path / fold / name) for e in self.experiments]
        utterances = list(readers[0])
        for reader in readers[1:]:
            if differing := sorted(set(reader) ^ set(utterances)):
                lacking = counted(len(set(utterances) - set(reader)), "utterance")
                more = counted(len(set(reader) - set(utterances)), "utterance")
                hint = "Train and predict all members on the same data"
                if name == VALIDATION:
                    hint += " with the same validation options"
                raise UserError(
                    f"other utterances than in {readers[0].scp} ({lacking} fewer, {more} more):"
                    f" {first_few(differing)}",
                    file=reader.scp, hint=hint,
                )  # fmt: skip
        return Part(utterances, np.stack([self._read(reader, utterances) for reader in readers]))

    def _read(self, reader: ArkReader, utterances: list[str]) -> np.ndarray:
        """A member's predictions ``(N, K + A)``, its columns put in the order of ``outputs``."""
        path = reader.scp.parent / "columns.yaml"
        columns = read_yaml(path)
        if not isinstance(columns, dict) or not columns.keys() >= {"classes", "attributes"}:
            raise UserError("not two lists, classes and attributes", file=path, hint=PREDICT)
        names = [*(f"class {name}" for name in columns["classes"]), *columns["attributes"]]
        wanted = [*(f"class {name}" for name in self.outputs.classes), *self.outputs.attributes]
        if missing := [name for name in wanted if name not in names]:
            raise UserError("not the columns that info.yaml says", file=path, value=missing[0], hint=PREDICT)
        arrays = reader.load(utterances)
        broken = [
            u for u, a in zip(utterances, arrays, strict=True)
            if a.shape != (len(names),) or not np.isfinite(a).all()
        ]  # fmt: skip
        if broken:
            what = f"not {len(names)} finite numbers, one a column: {first_few(broken)}"
            raise UserError(what, file=reader.scp, hint=PREDICT)
        return np.stack(arrays).astype(np.float64)[:, [names.index(name) for name in wanted]]


def _info(path: Path) -> dict[str, Any]:
    """info.yaml.

    Raises:
        UserError: when there is no such experiment, or its info.yaml does not say what it predicts.
    """
    if not path.is_dir():
        raise UserError("no such experiment", file=path)
    info = read_yaml(path / "info.yaml")
    if not isinstance(info, dict) or not isinstance(info.get("task"), dict):
        raise UserError("not what 'ser train' writes", file=path / "info.yaml", hint="Run stage 8 again")
    return info


def _shared(paths: Sequence[Path], infos: Sequence[dict[str, Any]]) -> Outputs:
    """What all members predict; what only some do is left out, and said.

    Raises:
        UserError: for other classes, or when nothing is left.
    """
    tasks = [info["task"] for info in infos]
    classes = tasks[0]["classes"] if all(task["classes"] for task in tasks) else []
    for path, task in zip(paths, tasks, strict=True):
        if classes and sorted(task["classes"]) != sorted(classes):
            raise UserError(
                f"other classes than {paths[0]}, {', '.join(classes)}",
                file=path, value=", ".join(task["classes"]),
                hint="Fuse systems of the same classes; their order does not matter",
            )  # fmt: skip
    attributes = [name for name in tasks[0]["attributes"] if all(name in t["attributes"] for t in tasks)]
    if not classes and not attributes:
        raise UserError(
            "nothing that all members predict",
            value="; ".join(", ".join(_said(task)) or "nothing" for task in tasks),
        )  # fmt: skip
    lost = sorted(
        set().union(*map(_said, tasks)) - set(_said({"classes": classes, "attributes": attributes}))
    )
    if lost:
        logger.warning("not fused, since not every member predicts it: %s", ", ".join(lost))
    return Outputs(list(classes), attributes)


def _said(task: dict[str, Any]) -> list[str]:
    """What a member predicts, in words."""
    return (["emotion"] if task["classes"] else []) + list(task["attributes"])


def _open(folder: Path) -> ArkReader:
    """Predictions of a part.

    Raises:
        UserError: when there are none.
    """
    if not (folder / "pred.scp").is_file():
        raise UserError("no predictions", file=folder / "pred.scp", hint=PREDICT)
    return ArkReader(folder / "pred.scp")
