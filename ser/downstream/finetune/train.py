"""Fine-tuning an experiment: every fold of a seed, encoder and interpreter together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from typing import Any

import torch
from accelerate import Accelerator

from ser.core.environment import describe as describe_environment
from ser.core.files import remove_leftovers, write_json, write_yaml
from ser.core.log import clock, get_logger, log_to_file
from ser.core.seed import derive_seed
from ser.downstream.conditioning.side import Told
from ser.downstream.conditioning.sources import told_sets
from ser.downstream.examples import Labels, load_labels
from ser.downstream.experiment import AudioSources, Experiment, training_fingerprint, write_info
from ser.downstream.finetune.attm import AttentiveMerge
from ser.downstream.finetune.batches import AudioSet
from ser.downstream.finetune.config import FinetuneConfig
from ser.downstream.finetune.fit import FineTuning
from ser.downstream.fit import Task
from ser.downstream.ground import survey
from ser.downstream.protocol import Fold, describe, validation_splits
from ser.downstream.train import pending_folds
from ser.downstream.validated import write_validated
from ser.engine.loop import make_parallel
from ser.engine.peak import peak_memory, start_peak
from ser.engine.resume import FILE as STATE
from ser.features.extract import share_machine
from ser.upstream import load_upstream
from ser.upstream.base import Upstream

logger = get_logger(__name__)


def finetune_experiment(
    config: FinetuneConfig,
    sources: AudioSources,
    experiment: Experiment,
    seed: int = 0,
    only_fold: str | None = None,
    job: int = 1,
    jobs: int = 1,
) -> None:
    """Fine-tune the folds of one seed that are not trained yet; a finished fold is kept.

    Under several processes (torchrun, accelerate) they train each fold together.

    Args:
        config: what and how.
        sources: data and upstream.
        experiment: where it is written.
        seed: of speakers held out, initial values, batches, crops and dropout; saved in every fit.json.
        only_fold: train this fold alone.
        job: of ``jobs`` parallel calls, this one's number from 1; it takes every ``jobs``-th fold.
        jobs: how many calls share the work.

    Raises:
        UserError: for anything the user can mend.
    """
    ground = survey(config, sources)
    sources, sets, task, folds, data = ground.sources, ground.sets, ground.task, ground.folds, ground.data
    share_machine(jobs)
    accelerator = make_parallel(config.precision)
    if not accelerator.is_main_process:
        get_logger("ser").setLevel("ERROR")  # one process speaks for all
    upstream = start_from(sources, accelerator)
    audio = AudioSet.load([loaded for loaded, _ in sets.values()], upstream, sources.skip_broken)
    audio.check_speakers()
    audio.told = Told.load(told_sets(sets, sources), ground.side)
    learnt_from = [sets[name][0] for name in ground.learnt_from]
    labels = load_labels(learnt_from, task.classes, task.attributes, config.task.soft)
    ranges = {name: (each.min, each.max) for name, each in data.labels.attributes.items()}
    fingerprint = training_fingerprint(config, sources.fingerprint(upstream))
    pending = pending_folds(experiment, folds, fingerprint, seed, only_fold, job, jobs)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        experiment.save_config(config, sources)
        write_yaml(experiment.path / "env.yaml", describe_environment())
        protocol = describe(folds, ground.speaker_of, config.validation)
        name, options = config.describe()
        transductive = getattr(upstream, "config", {}).get("protocol") == "transductive"
        options += ["pre-trained on test speakers (transductive)"] if transductive else []
        about = describe_upstream(upstream, config.precision)
        write_info(
            experiment, (name, options), about, protocol, task, data, timing=None, transductive=transductive
        )
    for number, fold in enumerate(pending):
        if number:  # the one before has trained the encoder
            audio.upstream = start_from(sources, accelerator)
        finetune_fold(fold, config, task, labels, audio, experiment, seed, fingerprint, accelerator, ranges)
    accelerator.end_training()


def finetune_fold(
    fold: Fold,
    config: FinetuneConfig,
    task: Task,
    labels: Labels,
    audio: AudioSet,
    experiment: Experiment,
    seed: int,
    fingerprint: str,
    accelerator: Accelerator,
    ranges: Mapping[str, tuple[float, float]],
) -> None:
    """Train and save one fold: model.safetensors, then fit.json, which marks it finished."""
    folder, main = experiment.fold_dir(seed, fold.name), accelerator.is_main_process
    folder.mkdir(parents=True, exist_ok=True)
    with log_to_file(folder / "train.log") if main else nullcontext():
        fold_seed = derive_seed(seed, "fold", fold.name)
        [(learn, validate)] = validation_splits(fold, audio.speaker_of, config.validation, fold_seed)
        start_peak(accelerator.device)
        fit = FineTuning(config, task, labels, audio, learn, validate, fold_seed, accelerator, ranges)
        logger.info(
            "fold %s: %d utterances to learn from, %d to validate on, %d parameters trained",
            fold.name, len(fit.learn), len(fit.validate), fit.model.trained_parameters(),
        )  # fmt: skip
        found = fit.run(folder, fingerprint)
        best, validated = found.best, fit.best_predictions()
        if main:
            write_validated(folder, task.classes, task.attributes, validated)
            remove_leftovers(folder)
            fit.result.save(folder / "model.safetensors", found.best_state)
            write_json(
                folder / "fit.json",
                {
                    "fold": fold.name,
                    "seed": seed,
                    "fingerprint": fingerprint,
                    "chosen": {},
                    "epochs": best.epoch,
                    "validation_metric": best.value,
                    "validation_speakers": sorted({audio.speaker_of[u] for u in fit.validate}),
                    "trained_parameters": fit.model.trained_parameters(),
                    "layer_weights": layer_weights(fit, found.best_state),
                    "curve": best.curve,
                    "steps": found.step,
                    "seconds": round(found.seconds, 3),
                    "processes": accelerator.num_processes,
                    "device": accelerator.device.type,
                    "peak_memory_mb": peak_memory(accelerator.device),
                    "left_out": broken_of([*learn, *validate], audio),
                },
            )
            (folder / STATE).unlink(missing_ok=True)
        logger.info(
            "fold %s: validation %.4f at epoch %d, %s",
            fold.name, best.value, best.epoch, clock(found.seconds),
        )  # fmt: skip
    accelerator.wait_for_everyone()


def start_from(sources: AudioSources, accelerator: Accelerator) -> Upstream:
    """The upstream as it is before fine-tuning, its speakers assigned."""
    upstream = load_upstream(sources.upstream, str(accelerator.device), context=sources.context)
    if sources.speakers is not None:
        upstream.assign_speakers(sources.speakers)
    return upstream


def describe_upstream(upstream: Upstream, precision: str) -> dict[str, Any]:
    """What meta.yaml of features would say, for info.yaml."""
    info = upstream.info
    return {
        "upstream": info.name, "tag": info.tag, "family": info.family, "checkpoint": info.checkpoint,
        "sample_rate": info.sample_rate, "frame_rate": info.frame_rate, "layers": info.num_layers,
        "dim": info.dim, "parameters": info.parameters,
        "precision": "float32" if precision == "no" else precision, "context": info.context,
    }  # fmt: skip


def layer_weights(fit: FineTuning, state: dict[str, torch.Tensor]) -> list[float] | None:
    """The weights of hidden states in the best epoch's model, summing to one; AttM has an utterance's own."""
    if isinstance(fit.model.layers, AttentiveMerge):
        return None
    scores = state.get("layers.scores")
    weights = fit.model.layers.weights() if scores is None else scores.softmax(0)
    return weights.tolist()


def broken_of(utterances: Iterable[str], audio: AudioSet) -> list[str]:
    """The utterances whose audio was left out."""
    return [utterance for utterance in utterances if utterance in audio.broken]
