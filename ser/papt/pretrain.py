"""``ser papt``: from data and units to a personalised encoder."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ser.core.config import save, to_plain
from ser.core.environment import describe as describe_environment
from ser.core.errors import UserError
from ser.core.files import read_yaml, write_yaml
from ser.core.log import clock, get_logger, log_to_file
from ser.core.seed import derive_seed, seed_everything
from ser.engine.loop import make_accelerator
from ser.features.extract import share_machine
from ser.features.plan import plan_batches
from ser.features.store import fingerprint
from ser.papt.batches import Batch, Collator, Geometry, check_units, long_enough, plan_epoch
from ser.papt.checkpoint import FILE
from ser.papt.config import PaptConfig
from ser.papt.corpus import SAMPLE_RATE, Corpus
from ser.papt.encoders import Source, load_source
from ser.papt.model import MEAN_SPEAKER, NO_SPEAKER
from ser.papt.result import write_encoder
from ser.papt.start import build
from ser.papt.trainer import Trainer
from ser.upstream.convolution import hop_of, receptive_field
from ser.upstream.papt import CONFIG, ENCODER

log = get_logger(__name__)

# Options that decide when something is written, not what.
NOT_THE_RESULT = ("save_every", "log_every")
UNSEEN = {"mean": MEAN_SPEAKER, "zero": NO_SPEAKER, "refuse": None}


@dataclass
class PaptSources:
    """What is pre-trained on what.

    Args:
        upstream: the encoder to start from.
        data: data directories.
        units: folders of their units.
        validation_data: data directories of the validation loss.
        validation_units: folders of their units.
    """

    upstream: str
    data: list[Path]
    units: list[Path]
    validation_data: list[Path] = field(default_factory=list)
    validation_units: list[Path] = field(default_factory=list)


def pretrain(
    config: PaptConfig, sources: PaptSources, out: Path, seed: int = 0, restart: bool = False
) -> None:
    """Pre-train, or go on with it, or do nothing when it is done.

    Args:
        config: how.
        sources: what.
        out: folder of the experiment.
        seed: of initial values, batches, crops and masks.
        restart: start over whatever lies in ``out``.

    Raises:
        UserError: for anything the user can mend; before the first step nothing is written.
    """
    config.check()
    accelerator = make_accelerator(config.precision, several_processes=True)
    share_machine(accelerator.num_processes)
    seed_everything(seed)
    source = load_source(sources.upstream)
    layers = source.model.feature_extractor.conv_layers
    geometry = Geometry(receptive_field(layers), hop_of(layers))
    personal = config.speaker.fusion != "none"
    corpus = Corpus(sources.data, sources.units, SAMPLE_RATE / geometry.hop, personal)
    train, held_out = split(long_enough(corpus, config.batches, config.masking, geometry), config, seed)
    speakers = sorted({corpus.speaker_of[utterance] for utterance in train})
    validation_corpus, held_out = validation_of(sources, config, corpus, held_out, geometry)
    digests = [check_units(corpus, train, geometry), check_units(validation_corpus, held_out, geometry)]
    model = build(source, corpus.clusters, len(speakers), config)
    facts = made_from(config, source, corpus, validation_corpus, train, held_out, digests, seed)
    if is_done(out, facts, restart):
        log.info("%s is done already", out)
        return

    epsilon = source.epsilon if source.normalise else None
    index = {speaker: row for row, speaker in enumerate(speakers)}
    collate = Collator(corpus, index, epsilon, geometry, config.batches, config.masking, seed)
    unseen = UNSEEN[config.validation.unseen] if personal else NO_SPEAKER
    collate_validation = Collator(
        validation_corpus, index, epsilon, geometry, config.batches, config.masking, seed, unseen
    )
    if personal:
        collate_validation.check_speakers(held_out)
    seconds = {utterance: corpus.seconds[utterance] for utterance in train}
    plans = [plan_epoch(seconds, config.batches, seed, epoch) for epoch in range(config.optimizer.epochs)]
    out.mkdir(parents=True, exist_ok=True)
    if accelerator.is_main_process:
        if restart:  # the old encoder too, or a run that is killed now could not go on without --restart
            (out / FILE).unlink(missing_ok=True)
            shutil.rmtree(out / ENCODER, ignore_errors=True)
        save(out / "config.yaml", {**to_plain(config), **to_plain(sources), "seed": seed})
        write_yaml(out / "env.yaml", describe_environment())
    accelerator.wait_for_everyone()
    name = "train.log" if accelerator.is_main_process else f"train.{accelerator.process_index}.log"
    with log_to_file(out / name, append=not restart):
        log.info("%d utterances, %.2f h, %d speakers, %d units, %d steps of %d batches of %g s at most",
                 len(train), sum(seconds.values()) / 3600, len(speakers), corpus.clusters,
                 sum(map(len, plans)), config.batches.per_step, config.batches.seconds)  # fmt: skip
        trainer = Trainer(
            model, config, accelerator, plans, collate,
            validation_batches(validation_corpus, held_out, config), collate_validation, out,
            facts["fingerprint"],
        )  # fmt: skip
        progress = trainer.run()
        if not accelerator.is_main_process:
            return
        last = progress.rows[-1]
        facts |= {"steps": progress.step, "seconds": round(progress.seconds, 1),
                  "validation_loss": last.get("validation_loss")}  # fmt: skip
        write_encoder(out, trainer.plain, source, config, speakers, corpus, train, facts)
        (out / FILE).unlink(missing_ok=True)
        log.info("%s: %d steps in %s", out, progress.step, clock(progress.seconds))


def split(utterances: list[str], config: PaptConfig, seed: int) -> tuple[list[str], list[str]]:
    """Utterances to train on, and those held out for the validation loss: a share drawn by name."""
    share = config.validation.share
    held_out = [u for u in utterances if derive_seed(seed, "held out", u) < share * 2**32]
    if len(held_out) == len(utterances):
        raise UserError("no utterance is left to train on", value=f"validation.share {share}")
    chosen = set(held_out)
    return [utterance for utterance in utterances if utterance not in chosen], held_out


def validation_of(
    sources: PaptSources, config: PaptConfig, corpus: Corpus, held_out: list[str], geometry: Geometry
) -> tuple[Corpus, list[str]]:
    """Where the validation loss is taken: on its own data, or on what was held out.

    Raises:
        UserError: both are asked for, or units of another k-means than the training data's.
    """
    if not sources.validation_data:
        return corpus, held_out
    if held_out:
        raise UserError("validation data and validation.share at once", hint="Leave one of them out")
    personal = config.speaker.fusion != "none" and config.validation.unseen == "refuse"
    other = Corpus(sources.validation_data, sources.validation_units, SAMPLE_RATE / geometry.hop, personal)
    if other.about_units["meta_sha256"] != corpus.about_units["meta_sha256"]:
        raise UserError("validation units are of another k-means than the training data's",
                        file=sources.validation_units[0])  # fmt: skip
    return other, long_enough(other, config.batches, config.masking, geometry)


def validation_batches(corpus: Corpus, utterances: list[str], config: PaptConfig) -> list[Batch]:
    """Batches of the validation loss, the same in every epoch."""
    longest = config.batches.max_samples / SAMPLE_RATE
    seconds = {utterance: min(corpus.seconds[utterance], longest) for utterance in utterances}
    return [batch.utterances for batch in plan_batches(seconds, config.batches.seconds)]


def made_from(
    config: PaptConfig, source: Source, corpus: Corpus, validation: Corpus, train: list[str],
    held_out: list[str], digests: list[str], seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Seed, epochs and a fingerprint of all that decides the encoder."""
    options = {name: value for name, value in to_plain(config).items() if name not in NOT_THE_RESULT}
    everything = {
        "config": options, "seed": seed, "checkpoint": source.checkpoint or source.name,
        "train": {u: [corpus.speaker_of[u], corpus.seconds[u]] for u in train},
        "validation": {u: [validation.speaker_of[u], validation.seconds[u]] for u in held_out},
        "units": corpus.about_units, "digests": digests,
    }  # fmt: skip
    return {"seed": seed, "epochs": config.optimizer.epochs, "fingerprint": fingerprint(everything)}


def is_done(out: Path, facts: dict[str, Any], restart: bool) -> bool:
    """Whether the encoder in ``out`` is the one that these settings make.

    Raises:
        UserError: there is another one.
    """
    path = out / ENCODER / CONFIG
    if restart or not path.is_file():
        return False
    found = read_yaml(path)
    if not isinstance(found, dict) or found.get("fingerprint") != facts["fingerprint"]:
        raise UserError("the encoder that is here was made with other settings, data or units", file=path,
                        hint="Choose another --out, or pass --restart to replace it")  # fmt: skip
    return True
