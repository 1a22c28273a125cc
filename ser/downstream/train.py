"""Training an experiment: every fold of a seed, each from its own training speakers alone."""

from __future__ import annotations

import time
from pathlib import Path

from accelerate import Accelerator

from ser.core.environment import describe as describe_environment
from ser.core.errors import UserError
from ser.core.files import read_json, read_yaml, write_json, write_yaml
from ser.core.log import Progress, clock, get_logger, log_to_file
from ser.core.seed import derive_seed
from ser.downstream.conditioning.side import load_side
from ser.downstream.config import TrainConfig
from ser.downstream.examples import Examples, load_examples, statistics_needed
from ser.downstream.experiment import Experiment, Sources, training_fingerprint, write_info
from ser.downstream.fit import Task, choose, train_chosen
from ser.downstream.ground import survey
from ser.downstream.protocol import Fold, describe, validation_splits
from ser.downstream.validated import write_validated
from ser.engine.loop import make_accelerator
from ser.engine.peak import peak_memory, start_peak

logger = get_logger(__name__)


def train_experiment(
    config: TrainConfig,
    sources: Sources,
    experiment: Experiment,
    seed: int = 0,
    only_fold: str | None = None,
    job: int = 1,
    jobs: int = 1,
) -> None:
    """Train the folds of one seed that are not trained yet; a finished fold is kept.

    Args:
        config: what and how.
        sources: data and features.
        experiment: where it is written.
        seed: of speakers held out, initial values, batches and dropout; saved in every fit.json.
        only_fold: train this fold alone.
        job: of ``jobs`` parallel calls, this one's number from 1; it takes every ``jobs``-th fold.
        jobs: how many calls share the work.

    Raises:
        UserError: for anything the user can mend.
    """
    ground = survey(config, sources)
    sources, sets, task, folds = ground.sources, ground.sets, ground.task, ground.folds
    config.speaker.check_sets([name for name in sets if name not in ("train", "validation")])
    data, feats = sets["train"]
    statistics = statistics_needed(config.model.pooling, feats)
    experiment.save_config(config, sources)
    write_yaml(experiment.path / "env.yaml", describe_environment())
    upstream, timing = read_yaml(feats / "meta.yaml"), feats / "timing.json"
    protocol = describe(folds, ground.speaker_of, config.validation)
    described = config.describe(upstream["layers"], upstream["frame_rate"])
    seconds = read_json(timing) if timing.is_file() else None
    others = {"timing": seconds}
    if upstream.get("transductive"):
        described[1].append("pre-trained on test speakers (transductive)")
        others["transductive"] = True
    write_info(experiment, described, upstream, protocol, task, data, **others)

    fingerprint = training_fingerprint(config, sources.fingerprint())
    pending = pending_folds(experiment, folds, fingerprint, seed, only_fold, job, jobs)
    if not pending:
        return
    learnt, text_feats = ground.learnt_from, sources.text_of(sets)
    examples = load_examples(
        [sets[name] for name in learnt],
        task.classes,
        task.attributes,
        statistics,
        config.model.standardise,
        config.task.soft,
    )
    examples.side = load_side([(sets[name][0], text_feats.get(name)) for name in learnt], ground.side)
    state, accelerator = Progress(len(pending), f"train {experiment.path.name}"), make_accelerator()
    for fold in pending:
        folder = experiment.fold_dir(seed, fold.name)
        folder.mkdir(parents=True, exist_ok=True)
        with log_to_file(folder / "train.log"):
            train_fold(fold, config, task, examples, folder, seed, fingerprint, accelerator)
        state.advance()


def pending_folds(
    experiment: Experiment,
    folds: list[Fold],
    fingerprint: str,
    seed: int,
    only_fold: str | None,
    job: int,
    jobs: int,
) -> list[Fold]:
    """This call's folds that are not trained yet; arguments as those of ``train_experiment``.

    Raises:
        UserError: when there is no fold of that name.
    """
    wanted = [fold for fold in folds if only_fold in (None, fold.name)]
    if not wanted:
        known = ", ".join(fold.name for fold in folds)
        raise UserError("no such fold", value=only_fold, hint=f"There are: {known}")
    wanted = wanted[job - 1 :: jobs]
    pending = [fold for fold in wanted if not experiment.is_trained(seed, fold.name, fingerprint)]
    if len(pending) < len(wanted):
        logger.info("%d of %d folds are trained already", len(wanted) - len(pending), len(wanted))
    return pending


def train_fold(
    fold: Fold,
    config: TrainConfig,
    task: Task,
    examples: Examples,
    folder: Path,
    seed: int,
    fingerprint: str,
    accelerator: Accelerator,
) -> None:
    """Choose, train and save one fold: model.safetensors, then fit.json, which marks it finished."""
    start = time.monotonic()
    start_peak(accelerator.device)
    speaker_of = dict(zip(examples.utterances, examples.speakers, strict=True))
    fold_seed = derive_seed(seed, "fold", fold.name)
    splits = validation_splits(fold, speaker_of, config.validation, fold_seed)
    logger.info("fold %s: %d training utterances", fold.name, len(fold.train.utterances))
    choice = choose(
        config,
        task,
        examples,
        [(examples.rows(learn), examples.rows(validate)) for learn, validate in splits],
        fold_seed,
        accelerator,
    )
    saved = train_chosen(choice, task, examples, examples.rows(fold.train.utterances), fold_seed, accelerator)
    saved.save(folder / "model.safetensors")
    if choice.predictions is not None:
        heard = [utterance for _, validate in splits for utterance in validate]
        rows = zip(heard, choice.predictions.numpy(), strict=True)
        write_validated(folder, task.classes, task.attributes, dict(rows))
    validated = sorted({speaker_of[u] for _, validate in splits for u in validate})
    write_json(
        folder / "fit.json",
        {
            "fold": fold.name,
            "seed": seed,
            "fingerprint": fingerprint,
            "chosen": choice.options,
            "epochs": choice.best.epoch,
            "validation_metric": choice.best.value,
            "validation_speakers": validated,
            "trials": choice.trials,
            "trained_parameters": saved.model.trained_parameters(),
            "layer_weights": saved.model.layers.weights().tolist(),
            "curve": choice.best.curve,
            "seconds": round(time.monotonic() - start, 3),
            "device": accelerator.device.type,
            "peak_memory_mb": peak_memory(accelerator.device),
        },
    )
    logger.info(
        "fold %s: validation %.4f at epoch %d, %s",
        fold.name,
        choice.best.value,
        choice.best.epoch,
        clock(time.monotonic() - start),
    )
