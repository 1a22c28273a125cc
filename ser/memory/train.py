"""Training an experiment on conversations: every fold of a seed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

from accelerate import Accelerator

from ser.core.environment import describe as describe_environment
from ser.core.errors import UserError
from ser.core.files import read_json, remove_leftovers, write_json, write_yaml
from ser.core.log import clock, get_logger, log_to_file
from ser.core.seed import derive_seed, seed_everything
from ser.downstream.config import ValidationConfig
from ser.downstream.examples import Labels, load_labels
from ser.downstream.experiment import load_sets, write_info
from ser.downstream.fit import Task
from ser.downstream.ground import check_task, check_validation, make_folds
from ser.downstream.protocol import Fold, describe
from ser.downstream.saved import fit_scale
from ser.downstream.train import pending_folds
from ser.downstream.validated import write_validated
from ser.engine.loop import make_parallel
from ser.engine.peak import peak_memory, start_peak
from ser.engine.resume import FILE as STATE
from ser.features.extract import share_machine
from ser.memory.config import MalConfig
from ser.memory.dialogues import Dialogue, check_folds, groups_of_speakers, hold_out, load_dialogues, of_part
from ser.memory.experiment import ConversationExperiment, ConversationSources, Stage
from ser.memory.fit import ConversationFit
from ser.memory.hosts.encoder import EncoderHost
from ser.memory.listening import FrameListening, PooledListening
from ser.memory.saved import SavedConversation

logger = get_logger(__name__)


def train_conversations(
    config: MalConfig,
    sources: ConversationSources,
    experiment: ConversationExperiment,
    seed: int = 0,
    only_fold: str | None = None,
    job: int = 1,
    jobs: int = 1,
) -> None:
    """Train the folds of one seed that are not trained yet; a finished fold is kept.

    Under several processes (torchrun, accelerate) they share every batch of dialogues.

    Args:
        config: what and how.
        sources: data and features, or language model.
        experiment: where it is written.
        seed: of initial values, held-out dialogues, order and dropout; saved in every fit.json.
        only_fold: train this fold alone.
        job: of ``jobs`` parallel calls, this one's number from 1; it takes every ``jobs``-th fold.
        jobs: how many calls share the work.

    Raises:
        UserError: for anything the user can mend.
    """
    config.check()
    sources.check()
    sets = load_sets(sources)
    data = sets["train"][0]
    task = Task(data.labels.classes if config.task.emotion else [], list(config.task.attributes))
    if sources.host is not None and config.language_model.answer == "word" and task.attributes:
        raise UserError("words name classes, not attributes", value=f"task.attributes: {task.attributes}",
                        hint="Set language_model.answer: head")  # fmt: skip
    check_task(task, data)
    check_validation(task, data, sets["validation"][0] if "validation" in sets else None)
    dialogues = {name: load_dialogues(loaded) for name, (loaded, _) in sets.items()}
    folds = make_folds(sets)
    check_folds(dialogues["train"], folds)
    share_machine(jobs)
    accelerator = make_parallel(config.optimizer.precision)
    if not accelerator.is_main_process:
        get_logger("ser").setLevel("ERROR")  # one process speaks for all
    seed_everything(seed)  # LoRA takes its first weights when the model is loaded
    stage = Stage.open(config, sources, sets, accelerator.device)
    pending = pending_folds(experiment, folds, stage.fingerprint, seed, only_fold, job, jobs)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        experiment.save_config(config, sources)
        write_yaml(experiment.path / "env.yaml", describe_environment())
        describe_experiment(experiment, config, stage, folds, task, dialogues["train"])
    learnt_from = [name for name in ("train", "validation") if name in sets]
    labels = load_labels([sets[name][0] for name in learnt_from], task.classes, task.attributes)
    for fold in pending:
        train_fold(fold, stage, task, labels, dialogues, experiment, seed, accelerator)
    accelerator.end_training()


def describe_experiment(
    experiment: ConversationExperiment, config: MalConfig, stage: Stage, folds: Sequence[Fold], task: Task,
    dialogues: Sequence[Dialogue],
) -> None:  # fmt: skip
    """Write info.yaml."""
    speaker_of = {u: s for data, _ in stage.sets.values() for u, s in data.utt2spk.items()}
    protocol = describe(list(folds), speaker_of, ValidationConfig())
    if "validation" not in stage.sets and len(set(groups_of_speakers(dialogues).values())) == 1:
        protocol += ", validation shares speakers"
    name, options = config.describe()
    if stage.sources.host is None:
        tokens = "frames as tokens" if config.encoder.tokens == "frames" else "utterance as token"
        upstream, timing = dict(stage.meta), next(iter(stage.sets.values()))[1] / "timing.json"
        seconds = read_json(timing) if timing.is_file() else None
    else:
        tokens, upstream, seconds = stage.host().info.insertion, stage.host().describe(), None
    data = stage.sets["train"][0]
    write_info(experiment, (name, [*options, tokens]), upstream, protocol, task, data, timing=seconds)


def train_fold(
    fold: Fold,
    stage: Stage,
    task: Task,
    labels: Labels,
    dialogues: dict[str, list[Dialogue]],
    experiment: ConversationExperiment,
    seed: int,
    accelerator: Accelerator,
) -> None:
    """Train and save one fold: model.safetensors, then fit.json, which marks it finished."""
    folder, main, config = experiment.fold_dir(seed, fold.name), accelerator.is_main_process, stage.config
    folder.mkdir(parents=True, exist_ok=True)
    with log_to_file(folder / "train.log") if main else nullcontext():
        fold_seed = derive_seed(seed, "fold", fold.name)
        learn = of_part(dialogues["train"], fold.train.utterances)
        if fold.validation is None:
            learn, validate = hold_out(learn, config.validation.share, fold_seed)
        else:
            validate = of_part(dialogues["validation"], fold.validation.utterances)
        names = [name for name in ("train", "validation") if name in stage.sets]
        listening = stage.listening(names)
        seed_everything(fold_seed)
        start_peak(accelerator.device)
        learnt = [utterance for dialogue in learn for utterance in dialogue.utterances]
        shape = listening.shape if isinstance(listening, PooledListening | FrameListening) else ()
        scales = [fit_scale(column) for column in labels.targets[labels.rows(learnt)].T]
        attributes = dict(zip(task.attributes, scales, strict=True))
        model = stage.model(shape, task.outputs)
        if isinstance(model.host, EncoderHost):
            model.host.fit(listening.in_batches(learnt))
        saved = SavedConversation(model, task.classes, attributes, shape)
        fit = ConversationFit(config, task, saved, labels, listening, learn, validate, fold_seed, accelerator)
        logger.info(
            "fold %s: %d dialogues to learn from, %d to validate on, %d parameters trained",
            fold.name, len(learn), len(validate), model.trained_parameters(),
        )  # fmt: skip
        found = fit.run(folder, stage.fingerprint)
        best, validated = found.best, fit.best_predictions()
        if main:
            write_validated(folder, task.classes, task.attributes, validated)
            remove_leftovers(folder)
            saved.save(folder / "model.safetensors", found.best_state)
            history = model.history
            write_json(
                folder / "fit.json",
                {
                    "fold": fold.name,
                    "seed": seed,
                    "fingerprint": stage.fingerprint,
                    "chosen": {},
                    "epochs": best.epoch,
                    "validation_metric": best.value,
                    "validation_dialogues": sorted(dialogue.name for dialogue in validate),
                    "trained_parameters": model.trained_parameters(),
                    "history_parameters": 0 if history is None else history.count(),
                    "state_numbers": 0 if history is None else history.begin(1).numbers,
                    "gate": 0.0 if history is None else float(history.gate.detach().tanh()),
                    "layer_weights": layer_weights(model.host),
                    "curve": best.curve,
                    "steps": found.step,
                    "seconds": round(found.seconds, 3),
                    "processes": accelerator.num_processes,
                    "device": accelerator.device.type,
                    "peak_memory_mb": peak_memory(accelerator.device),
                },
            )
            (folder / STATE).unlink(missing_ok=True)
        logger.info(
            "fold %s: validation %.4f at epoch %d, %s",
            fold.name, best.value, best.epoch, clock(found.seconds),
        )  # fmt: skip
    accelerator.wait_for_everyone()


def layer_weights(host: object) -> list[float] | None:
    """The weights of an encoder's layers; a language model has none."""
    return host.layers.weights().tolist() if isinstance(host, EncoderHost) else None
