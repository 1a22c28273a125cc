"""The preliminary analysis of Tran et al. (Interspeech 2023) on a calibrated experiment, as a table.

    shift.tsv   seed, fold, set, attribute, speaker, utterances, feature_shift, label_shift, ccc,
                ccc_calibrated

A line a test speaker: how far voice and labels are from the training set's (KL divergence in nats, see
``ser.personalise.shift``), and the CCC of the speaker's own utterances before and after PLDC. Labels of test
speakers are looked at here, and only to analyse.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ser.core.files import whole_file
from ser.data.arks import ArkReader
from ser.downstream.experiment import Experiment
from ser.personalise.fold import FoldParts, load_data
from ser.personalise.shift import COMPONENTS, shifts

FILE = "shift.tsv"
HEADER = ("seed", "fold", "set", "attribute", "speaker", "utterances", "feature_shift", "label_shift",
          "ccc", "ccc_calibrated")  # fmt: skip


def write_shifts(source: Experiment, out: Experiment, components: float = COMPONENTS) -> Path:
    """Write the table of a calibrated experiment.

    Args:
        source: trained and predicted.
        out: its calibration.
        components: as ``shifts``.

    Raises:
        UserError: when a test part has no labels, or for ``components`` that are none.
    """
    sets = load_data(source)
    with whole_file(out.path / FILE) as stream:
        stream.write("\t".join(HEADER) + "\n")
        for folder in source.fold_dirs():
            fold = FoldParts.read(folder, sets)
            target = out.path / folder.relative_to(source.path)
            for name in (name for name in fold.tests if (target / name / "pred.scp").is_file()):
                for row in _rows(fold, name, target / name, components):
                    cells = [folder.parent.name.removeprefix("seed"), folder.name.removeprefix("fold"), name]
                    stream.write("\t".join([*cells, *row]) + "\n")
    return out.path / FILE


def _rows(fold: FoldParts, name: str, calibrated: Path, components: float) -> list[list[str]]:
    """The lines of one test part, from attribute on."""
    part = fold.part(name)
    labels, train_labels = fold.labels(name, part), fold.train_labels()
    values = np.stack(ArkReader(calibrated / "pred.scp").load(part.utterances)).astype(np.float64)
    after = replace(part, predictions=values[:, -len(part.attributes) :])
    counts = dict(zip(part.speakers, part.counts.tolist(), strict=True))
    rows = []
    for column, attribute in enumerate(part.attributes):
        first = shifts(fold.train, train_labels, part, labels, column, components)
        second = shifts(fold.train, train_labels, after, labels, column, components)
        calibrated_of = dict(zip(second.speakers, second.ccc, strict=True))
        for speaker, feature, label, ccc in zip(
            first.speakers, first.feature, first.label, first.ccc, strict=True
        ):
            numbers = (feature, label, ccc, calibrated_of.get(speaker, np.nan))
            cells = [attribute, speaker, str(counts[speaker])]
            rows.append(cells + [f"{number:.6f}" for number in numbers])
    return rows
