"""An experiment's predictions for another corpus: exp/<tag>/cross/<corpus>/<set>/seed<k>/pred.scp."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import torch

from ser.core.errors import UserError
from ser.core.files import write_yaml
from ser.core.log import get_logger
from ser.data.arks import ArkWriter
from ser.data.datadir import DataDir
from ser.downstream.ensemble import Ensemble
from ser.downstream.examples import load_examples
from ser.downstream.experiment import Experiment
from ser.downstream.fit import PREDICTION_BATCH
from ser.downstream.recorded import check_features, load_recorded, read_info
from ser.features.extract import Extraction, share_machine

logger = get_logger(__name__)


def predict_other(
    experiment: Experiment,
    data_dir: Path,
    feats: Path | None = None,
    upstream: str | None = None,
    device: str = "auto",
) -> Path:
    """Predict a data directory of another corpus, each seed by the mean of its folds' models.

    Args:
        experiment: a trained one.
        data_dir: the other corpus's data directory.
        feats: its features by the experiment's upstream; extracted into the result's folder when None.
        upstream: where the upstream is now, if it has moved and features are to be extracted.
        device: where it runs.

    Returns:
        exp/<tag>/cross/<corpus>/<set>, with models.yaml, written last.

    Raises:
        UserError: for the corpus that the experiment was trained on, features of another upstream,
            and whatever ``ser extract`` refuses.
    """
    info, data = read_info(experiment), DataDir.load(data_dir)
    if info.get("corpus") == data.labels.corpus:
        raise UserError(
            f"{experiment.path} was trained on this corpus, {data.labels.corpus}",
            file=data.path,
            hint="Use 'ser score EXPERIMENT --data DIR', which scores each fold on what it has not heard",
        )
    ensemble = Ensemble.load(experiment)
    standardise = experiment.load_config()[0].model.standardise
    folder = cross_folder(experiment.path, data)
    if feats is None:
        feats = folder / "feats"
        share_machine(1)
        extraction = Extraction(data, feats, load_recorded(experiment, upstream, device))
        extraction.run()
        extraction.combine()
    check_features(experiment, feats)
    examples = load_examples([(data, feats)], [], [], ensemble.statistics, standardise)
    (folder / "models.yaml").unlink(missing_ok=True)
    for stale in folder.glob("seed*"):
        shutil.rmtree(stale)
    rows = torch.arange(len(examples)).split(PREDICTION_BATCH)
    for seed, folds in ensemble.by_seed():
        with ArkWriter(folder / f"seed{seed}" / "pred") as writer:
            for part in rows:
                values = folds.predict(examples.pooled.take(part)).numpy()
                for row, value in zip(part.tolist(), values, strict=True):
                    writer.write(examples.utterances[row], value)
    models = {"classes": ensemble.classes, "attributes": ensemble.attributes}
    models |= {"seeds": {seed: [fold for _, fold in each.members] for seed, each in ensemble.by_seed()}}
    write_yaml(folder / "models.yaml", models)
    logger.info("%s on %s: %s", experiment.path, data.path, ensemble.describe())
    return folder


def cross_folder(experiment: Path, data: DataDir) -> Path:
    """exp/<tag>/cross/<corpus>/<set>."""
    corpus = re.sub(r"[^\w.\-]+", "_", data.labels.corpus).strip(".") or "corpus"
    return experiment / "cross" / corpus / data.path.resolve().name
