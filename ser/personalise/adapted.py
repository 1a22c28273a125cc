"""Adaptation of a trained experiment: a new experiment whose models are adapted to the test speakers.

    exp/<tag>_adapt_<strategy>/
        adaptation.yaml                     settings
        seed<k>/fold<j>/model.safetensors   the adapted model; or, one model a speaker:
        seed<k>/fold<j>/speakers/<speaker>.safetensors
        seed<k>/fold<j>/similar.tsv         which training speakers each test speaker selected
        seed<k>/fold<j>/fit.json            c_r, epochs, validation before and after; written last

The rest is as in any other experiment, so that scoring and tables need to know nothing of adaptation.
"""

from __future__ import annotations

import functools
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ser.core.config import to_plain
from ser.core.environment import describe as describe_environment
from ser.core.errors import UserError
from ser.core.files import read_json, read_yaml, sha256, write_json, write_yaml
from ser.core.log import Progress, get_logger, log_to_file
from ser.core.seed import derive_seed
from ser.downstream.examples import Examples, load_examples, statistics_needed
from ser.downstream.experiment import Experiment, load_sets
from ser.downstream.fit import Task
from ser.downstream.ground import make_folds
from ser.downstream.predict import FeaturePredictor, write_predictions
from ser.downstream.protocol import Fold, Part
from ser.engine.loop import make_accelerator
from ser.features.store import fingerprint
from ser.personalise.adaptation import AdaptationConfig, adapt
from ser.personalise.similarity import Functionals, Similarity
from ser.personalise.starts import load_starts

logger = get_logger(__name__)

MARK, MODEL, SPEAKERS = "adaptation.yaml", "model.safetensors", "speakers"


def adapt_experiment(
    source: Experiment,
    out: Experiment,
    functionals: Path,
    config: AdaptationConfig,
    test_sets: Sequence[str] = (),
) -> None:
    """Adapt every fold's model to its test speakers, and predict them; a fold that is done is kept.

    Args:
        source: trained by ``train_experiment``.
        out: the experiment to write.
        functionals: ``feats/<tag>``, features of every set by which speakers are compared.
        config: how.
        test_sets: names of the test sets whose speakers are adapted to and predicted; all by default.

    Raises:
        UserError: nothing to adapt, data or features that are no longer those of training, something
            else in ``out``, or test speakers among the training speakers.
    """
    config.check()
    folders = source.fold_dirs()
    if source.is_fine_tuned():
        raise UserError(
            "a fine-tuned experiment; adaptation goes on from features", file=source.path,
            hint="Extract features with its encoder, and train on those with 'ser train'",
        )  # fmt: skip
    if out.path.exists() and not (out.path / MARK).is_file():
        raise UserError("something else than an adapted experiment is there", file=out.path)
    work = Adaptation(source, functionals, config, test_sets)
    targets = {out.path / folder.relative_to(source.path): folder for folder in folders}
    for stale in [each.parent for each in out.path.glob("seed*/fold*/fit.json")]:
        if stale not in targets:
            shutil.rmtree(stale)
    setting = {"source": str(source.path), "functionals": str(functionals), "test_sets": list(test_sets)}
    write_yaml(out.path / MARK, {**setting, **to_plain(config)})
    write_yaml(out.path / "config.yaml", read_yaml(source.path / "config.yaml"))
    write_yaml(out.path / "env.yaml", describe_environment())
    info = read_yaml(source.path / "info.yaml")
    info["options"] = [*info.get("options", []), config.describe(work.functionals.tag)]
    write_yaml(out.path / "info.yaml", {**info, "transductive": True})
    progress = Progress(len(targets), f"adapt {out.path.name}")
    for target, folder in targets.items():
        work.run(folder, target)
        progress.advance()


class Adaptation:
    """What all folds of an experiment share; arguments as those of ``adapt_experiment``."""

    def __init__(
        self, source: Experiment, functionals: Path, config: AdaptationConfig, test_sets: Sequence[str] = ()
    ) -> None:
        self.config, self.test_sets = config, list(test_sets)
        self.training, sources = source.load_config()
        for group in ("gender", "text"):
            if getattr(self.training, group).fusion != "none":
                raise UserError(
                    f"adaptation of models with {group} is not in this release", file=source.path,
                    hint="Adapt a system of audio alone",
                )  # fmt: skip
        self.sets = load_sets(sources)
        self.folds = {fold.name: fold for fold in make_folds(self.sets)}
        known = list(next(iter(self.folds.values())).tests)
        if unknown := [name for name in test_sets if name not in known]:
            raise UserError("no such test set", value=unknown[0], hint=f"There are: {', '.join(known)}")
        self.predictor = FeaturePredictor(self.training, sources, self.sets)
        self.speaker_of = {u: s for data, _ in self.sets.values() for u, s in data.utt2spk.items()}
        compared = {"train"} | {p.source for fold in self.folds.values() for p in self.tests(fold).values()}
        self.functionals = Functionals(
            functionals, {name: data for name, (data, _) in self.sets.items() if name in compared}
        )
        train, task = self.sets["train"][0], self.training.task
        self.task = Task(train.labels.classes if task.emotion else [], list(task.attributes))
        self.accelerator = make_accelerator()

    @functools.cached_property
    def examples(self) -> Examples:
        """Of training and validation; in cross-validation, of all utterances."""
        return load_examples(
            [self.sets[name] for name in ("train", "validation") if name in self.sets],
            self.task.classes,
            self.task.attributes,
            statistics_needed(self.training.model.pooling, self.sets["train"][1]),
            self.training.model.standardise,
            self.training.task.soft,
        )

    def tests(self, fold: Fold) -> dict[str, Part]:
        """A fold's test parts that are wanted, by name."""
        return {name: part for name, part in fold.tests.items() if name in (self.test_sets or fold.tests)}

    def run(self, folder: Path, target: Path) -> None:
        """Adapt and predict a fold, unless that is done.

        Args:
            folder: of the trained fold.
            target: of the adapted one.
        """
        fit = read_json(folder / "fit.json")
        if fit["fingerprint"] != self.predictor.fingerprint or fit["fold"] not in self.folds:
            raise UserError(
                "trained on other data, features or options than there are now",
                file=folder / "fit.json", hint="Run stage 8 (train) again",
            )  # fmt: skip
        digest = fingerprint(
            {
                "config": to_plain(self.config), "tests": self.test_sets, "trained": fit["fingerprint"],
                "model": sha256(folder / MODEL), "functionals": self.functionals.fingerprint(),
            }
        )  # fmt: skip
        if (target / "fit.json").is_file():
            if read_json(target / "fit.json").get("adaptation", {}).get("digest") == digest:
                logger.info("%s is adapted already", target)
                return
            shutil.rmtree(target)
        target.mkdir(parents=True, exist_ok=True)
        with log_to_file(target / "train.log"):
            report = self._adapt(folder, target, fit)
        write_json(target / "fit.json", {**fit, "adaptation": {"digest": digest, **report}})

    def _adapt(self, folder: Path, target: Path, fit: dict[str, Any]) -> dict[str, Any]:
        """Write a fold's models and predictions; return what fit.json says of them."""
        fold = self.folds[fit["fold"]]
        tests = self.tests(fold)
        similarity = Similarity.between(
            fold.train, list(tests.values()), self.functionals, self.speaker_of, self.config.selection
        )
        starts = load_starts(
            folder / MODEL, fit, fold, self.training, self.task, self.examples, self.accelerator
        )
        if self.config.per_speaker:
            groups = {name: (target / SPEAKERS / f"{name}.safetensors", [name]) for name in similarity.test}
            others = folder / MODEL  # test speakers who are not known by name: as before
        else:
            groups = {"all": (target / MODEL, similarity.test)}
            others = target / MODEL
        models, reports = {}, {}
        for name, (path, speakers) in groups.items():
            adapted = adapt(
                starts,
                functools.partial(similarity.counts, speakers),
                self.config,
                self.task,
                self.examples,
                derive_seed(fit["seed"], "adapt", fold.name, name),
                self.accelerator,
            )
            adapted.model.save(path)
            models |= dict.fromkeys(speakers, path)
            reports[name] = report = adapted.report
            logger.info(
                "fold %s, %s: validation %.4f, adapted %.4f at epoch %d", fold.name, name,
                report["validation_before"], report["validation_metric"], report["epochs"],
            )  # fmt: skip
        for name, part in tests.items():
            self._predict(target / name, part, models, others)
        rows = starts.splits[0][0] if starts.rows is None else starts.rows
        learnt = {self.examples.speakers[row] for row in rows.tolist()}
        similarity.write(target / "similar.tsv", learnt)
        return {"counts": similarity.counts(similarity.test, learnt), "adapted": reports}

    def _predict(self, folder: Path, part: Part, models: dict[str, Path], others: Path) -> None:
        """Write a part's predictions, each speaker's by their model, or ``others`` where they have none."""
        shares: dict[Path, list[str]] = {}
        for utterance in part.utterances:
            model = models.get(self.speaker_of[utterance], others)
            shares.setdefault(model, []).append(utterance)
        vectors, values = [], []
        for model, utterances in shares.items():
            self.predictor.load(model)
            _, *found = self.predictor.predict(Part(part.source, utterances))
            vectors.append(found[0])
            values.append(found[1])
        order = [utterance for share in shares.values() for utterance in share]
        write_predictions(
            folder, self.predictor.saved, order, np.concatenate(vectors), np.concatenate(values)
        )
