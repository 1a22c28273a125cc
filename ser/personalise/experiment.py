"""Calibration of a trained experiment: a new experiment whose predictions are calibrated.

It has the layout of any other, so that scoring and tables need to know nothing of PLDC.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ser.core import log
from ser.core.errors import UserError
from ser.core.files import read_json, read_yaml, whole_file, write_json, write_yaml
from ser.data.arks import ArkReader, ArkWriter
from ser.data.datadir import DataDir
from ser.data.wording import first_few
from ser.downstream.experiment import Experiment
from ser.personalise.calibration import CANDIDATES, Calibrated, Donors, calibrate_part, choose_k
from ser.personalise.fold import FoldParts, load_data
from ser.personalise.part import Part
from ser.personalise.pldc import Shift

logger = log.get_logger(__name__)


@dataclass(frozen=True)
class CalibrationConfig:
    """How to calibrate.

    Args:
        shift: which moment is replaced: ``sigma`` (the paper's best), ``mu`` or ``both``.
        k: training speakers to borrow from; None chooses it on the validation part (the paper's k is
            not published). ``all`` is the control: every speaker gets the average training speaker's
            distribution, so that what PLDC gains over it is the gain of similarity.
        candidates: values of k that are tried there.
        shrinkage: utterances of an average speaker that count beside a speaker's own for mu and sigma;
            0, the paper's rule, trusts the speaker's own however few they are.
        enrolment: name of the part (a test set's) from which voice, mu and sigma are taken; None
            takes those of the utterances that are calibrated, as the paper does.
    """

    shift: Shift = "sigma"
    k: int | Literal["all"] | None = None
    candidates: tuple[int, ...] = CANDIDATES
    shrinkage: float = 0.0
    enrolment: str | None = None

    def check(self) -> None:
        """Refuse numbers that mean nothing.

        Raises:
            UserError: naming the option.
        """
        if isinstance(self.k, int) and self.k < 1:
            raise UserError("--k must be at least 1", value=self.k)
        if self.shrinkage < 0:
            raise UserError("--shrinkage must not be negative", value=self.shrinkage)
        if not self.candidates or min(self.candidates) < 1:
            raise UserError("--candidates must be numbers of at least 1", value=list(self.candidates))

    def describe(self, k: Sequence[int]) -> str:
        """The words of tables; they say that all of a test speaker's audio is seen."""
        low, high = min(k), max(k)
        number = "all" if self.k == "all" else str(low) if low == high else f"{low} to {high}"
        words = f"PLDC {self.shift}, k {number}"
        words += "" if self.k is not None else " by validation"
        words += f", shrinkage {self.shrinkage:g}" if self.shrinkage else ""
        return words + (f", enrolled on {self.enrolment}" if self.enrolment else " (transductive)")

    def path_beside(self, source: Path) -> Path:
        """Where the calibration of an experiment goes: ``<tag>_pldc_<shift>``, the control ``..._all``."""
        return source.with_name(f"{source.name}_pldc_{self.shift}" + ("_all" if self.k == "all" else ""))


def calibrate_experiment(source: Experiment, out: Experiment, config: CalibrationConfig) -> None:
    """Calibrate every fold's test predictions.

    Args:
        source: trained, and predicted with ``--parts [train,validation,test]``.
        out: the experiment to write; one that is there is replaced.
        config: how.

    Raises:
        UserError: when there is nothing to calibrate, predictions are missing, or k cannot be chosen.
    """
    config.check()
    sets = load_data(source)
    if out.path.exists():
        if out.path.resolve() == source.path.resolve() or not (out.path / "calibration.yaml").is_file():
            raise UserError("something else than a calibrated experiment is there", file=out.path)
        shutil.rmtree(out.path)
    chosen = []
    for folder in source.fold_dirs():
        target = out.path / folder.relative_to(source.path)
        chosen.append(_calibrate_fold(folder, target, sets, config))
    info = read_yaml(source.path / "info.yaml")
    info["options"] = [*info.get("options", []), config.describe(chosen)]
    info["transductive"] = bool(info.get("transductive")) or config.enrolment is None
    for name in ("config.yaml", "env.yaml"):
        if (source.path / name).is_file():
            write_yaml(out.path / name, read_yaml(source.path / name))
    write_yaml(
        out.path / "calibration.yaml", {"source": str(source.path), **asdict(config), "chosen": chosen}
    )
    write_yaml(out.path / "info.yaml", info)


def _calibrate_fold(folder: Path, target: Path, sets: dict[str, DataDir], config: CalibrationConfig) -> int:
    """Write a fold's calibrated parts; return its k."""
    fold = FoldParts.read(folder, sets)
    scores: dict[int, float] = {}
    if config.k is None:
        k, scores = choose_k(
            *fold.validation(), fold.donors, config.shift, config.shrinkage, config.candidates
        )
    else:
        k = len(fold.donors.speakers) if config.k == "all" else config.k
    enrolment = fold.enrolment(config.enrolment)
    for name in fold.tests:
        if name == config.enrolment:
            continue
        part = fold.part(name)
        outcome = calibrate_part(part, fold.donors, k, config.shift, config.shrinkage, enrolment)
        _report(outcome, part, folder / name, config)
        _write_part(target / name, folder / name, part, outcome, fold.donors)
    fit = read_json(folder / "fit.json")
    write_json(
        target / "fit.json",
        fit | {"calibration": {"k": k, "validation": {str(n): v for n, v in scores.items()}}},
    )
    return k


def _report(outcome: Calibrated, part: Part, folder: Path, config: CalibrationConfig) -> None:
    """Say which speakers could not be scaled."""
    if outcome.unscaled and config.shift != "mu":
        logger.warning(
            "%s: %d of %d speakers keep their spread, since that of their predictions is 0 or undefined: %s",
            folder, len(outcome.unscaled), len(part.speakers), first_few(outcome.unscaled),
        )  # fmt: skip


def _write_part(target: Path, source: Path, part: Part, outcome: Calibrated, donors: Donors) -> None:
    """pred.ark/scp with the attributes replaced, speaker vectors, the table of neighbours."""
    target.mkdir(parents=True, exist_ok=True)
    columns = read_yaml(source / "columns.yaml")
    write_yaml(target / "columns.yaml", columns)
    with ArkWriter(target / "spk_vectors") as writer:
        for speaker, vector in zip(part.speakers, part.speaker_vectors(), strict=True):
            writer.write(speaker, vector.astype(np.float32))
    write_neighbours(target / "neighbours.tsv", part, outcome, donors)
    before = ArkReader(source / "pred.scp").load(part.utterances)
    skip = len(columns["classes"])
    values = np.stack(before).astype(np.float32)
    values[:, skip:] = outcome.predictions
    with ArkWriter(target / "pred") as writer:
        for utterance, value in zip(part.utterances, values, strict=True):
            writer.write(utterance, value)


def write_neighbours(path: Path, part: Part, outcome: Calibrated, donors: Donors) -> None:
    """Which training speakers each test speaker borrowed from: one line a speaker, for people and for awk."""
    with whole_file(path) as stream:
        header = ["speaker", "utterances"]
        for name in part.attributes:
            header += [f"{name}_mu", f"{name}_sigma", f"{name}_mu_bar", f"{name}_sigma_bar"]
        stream.write("\t".join([*header, "neighbours (cosine)"]) + "\n")
        for row, speaker in enumerate(part.speakers):
            cells = [speaker, str(part.counts[row])]
            for column in range(len(part.attributes)):
                moments = (outcome.own.mean, outcome.own.deviation, outcome.mean_bar, outcome.deviation_bar)
                cells += [f"{moment[row, column]:.4f}" for moment in moments]
            pairs = zip(outcome.neighbours.index[row], outcome.neighbours.cosine[row], strict=True)
            cells.append(" ".join(f"{donors.speakers[index]}:{cosine:.4f}" for index, cosine in pairs))
            stream.write("\t".join(cells) + "\n")
