"""Speaker-dependent against speaker-independent training, as the number of training speakers grows.

    dependence.tsv   attribute, speakers, draw, speaker, utterances, dependent, independent

A draw divides the speakers into two halves, and each speaker's utterances into a part to learn from and a
part to test on. For n speakers A_n of one half and B_n of the other (A_n within A_m for n < m),

    model A learns from A_n, model B from B_n
    dependent:   A's CCC on the test utterances of each speaker of A_n; B's on those of B_n
    independent: B's CCC on the same utterances of A_n; A's on those of B_n

So either condition has the same test utterances, as many training speakers and about as many training
utterances. Tran et al. (Interspeech 2023) show such a curve over 50 to 987 speakers of MSP-Podcast as their
preliminary analysis, without the details: this is a reconstruction.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator

from ser.core.errors import UserError
from ser.core.files import whole_file
from ser.core.log import Progress, get_logger
from ser.core.seed import derive_seed
from ser.data.datadir import DataDir
from ser.data.speakers import is_known
from ser.data.wording import counted
from ser.downstream.config import TrainConfig
from ser.downstream.examples import Examples, load_examples, statistics_needed
from ser.downstream.fit import PREDICTION_BATCH, Task, choose, train_chosen
from ser.downstream.ground import check_task
from ser.downstream.protocol import Fold, Part, validation_splits
from ser.engine.loop import make_accelerator
from ser.metrics.continuous import ccc

logger = get_logger(__name__)

FILE = "dependence.tsv"
HEADER = ("attribute", "speakers", "draw", "speaker", "utterances", "dependent", "independent")
# Below that a speaker's utterances cannot be divided into a part to learn from and one that has a CCC.
FEWEST = 6
MOST = "most"


def parse_counts(text: str) -> list[int | None]:
    """``4,8,16`` as numbers; ``most`` is None.

    Raises:
        UserError: for anything else.

    >>> parse_counts("8,4,most")
    [4, 8, None]
    """
    words = {word.strip() for word in text.split(",")}
    numbers = words - {MOST}
    if not all(word.isdecimal() for word in numbers):
        raise UserError("--speakers wants numbers", value=text, hint="4,8,16,32 or 4,8,most")
    return [*sorted(map(int, numbers)), *([None] if MOST in words else [])]


def possible_counts(counts: Sequence[int | None], most: int) -> list[int]:
    """The numbers of speakers to train on, where there are twice ``most``.

    With None among them, ``most`` is one of them and those above it are left out, with a warning.

    >>> possible_counts([4, 8, None], 6), possible_counts([4, 8], 6)
    ([4, 6], [4, 8])
    """
    wanted = [count for count in counts if count is not None]
    if None not in counts:
        return wanted
    if above := [count for count in wanted if count > most]:
        logger.warning("left out, since there are no more than two halves of %d speakers: %s", most, above)
    return sorted({most, *(count for count in wanted if count <= most)})


@dataclass(frozen=True)
class Draw:
    """One division of speakers and utterances.

    Attributes:
        halves: two lists of speakers, the first n of which are A_n and B_n.
        learn: speaker -> utterances to learn from.
        test: speaker -> utterances to test on.
    """

    halves: tuple[list[str], list[str]]
    learn: dict[str, list[str]]
    test: dict[str, list[str]]

    @classmethod
    def of(cls, utterances: Mapping[str, Sequence[str]], share: float, seed: int) -> Draw:
        """Divide by a seed.

        Args:
            utterances: speaker -> utterances.
            share: of each speaker's utterances to test on; at least two, and all but two at most.
            seed: of the division.
        """
        names = sorted(utterances)
        order = [names[index] for index in np.random.default_rng(seed).permutation(len(names))]
        half, learn, test = len(order) // 2, {}, {}
        for name in names:
            own = sorted(utterances[name])
            random = np.random.default_rng(derive_seed(seed, name)).permutation(len(own))
            count = min(max(round(share * len(own)), 2), len(own) - 2)
            held = set(random[:count].tolist())
            test[name] = [each for row, each in enumerate(own) if row in held]
            learn[name] = [each for row, each in enumerate(own) if row not in held]
        return cls((order[:half], order[half : 2 * half]), learn, test)


def write_dependence(
    config: TrainConfig,
    sets: Sequence[tuple[Path, Path]],
    counts: Sequence[int | None],
    out: Path,
    draws: int = 3,
    share: float = 0.3,
    seed: int = 0,
) -> Path:
    """Train and test every number of speakers, and write the table.

    Args:
        config: attributes to learn, model and training; validation is made inside the training speakers.
        sets: (data directory, its features), whose speakers are put together.
        counts: numbers of training speakers; None is as many as there can be, and leaves out what is above.
        out: folder of the table.
        draws: divisions.
        share: of each speaker's utterances to test on.
        seed: of divisions and trainings.

    Raises:
        UserError: when there are too few speakers, or nothing to learn.
    """
    config.check()
    check_options(config, [count for count in counts if count is not None] or [2], draws, share)
    loaded = [(DataDir.load(data), feats) for data, feats in sets]
    task = Task([], list(config.task.attributes))
    for data, _ in loaded:
        check_task(task, data)
    speakers: dict[str, list[str]] = {}
    for data, _ in loaded:
        for utterance, speaker in data.utt2spk.items():
            if is_known(speaker):
                speakers.setdefault(speaker, []).append(utterance)
    speakers = {name: own for name, own in speakers.items() if len(own) >= FEWEST}
    counts = possible_counts(counts, len(speakers) // 2)
    if min(counts) < 2 or len(speakers) < 2 * max(counts):
        raise UserError(
            f"{counted(max(counts), 'speaker')} want twice as many, with at least {FEWEST} utterances each",
            value=len(speakers), hint="Give more of the corpus's sets, or smaller --speakers",
        )  # fmt: skip
    statistics = statistics_needed(config.model.pooling, loaded[0][1])
    examples = load_examples(loaded, [], task.attributes, statistics, config.model.standardise)
    accelerator, progress = make_accelerator(), Progress(draws * len(counts), "speakers")
    rows = []
    for number in range(draws):
        draw = Draw.of(speakers, share, derive_seed(seed, "draw", number))
        for count in sorted(counts):
            chosen = [half[:count] for half in draw.halves]
            predicted = [
                _predictions(config, task, examples, draw, names, others, seed, accelerator)
                for names, others in (chosen, chosen[::-1])
            ]
            for half, names in enumerate(chosen):
                for name in names:
                    found = [predicted[model][name] for model in (half, 1 - half)]
                    rows += _rows(task, examples, draw.test[name], found, (count, number, name))
            progress.advance()
    os.makedirs(out, exist_ok=True)
    with whole_file(out / FILE) as stream:
        stream.write("\t".join(HEADER) + "\n")
        stream.writelines(
            "\t".join(row) + "\n" for row in sorted(rows, key=lambda row: (row[0], int(row[1])))
        )
    return out / FILE


def check_options(config: TrainConfig, counts: Sequence[int], draws: int, share: float) -> None:
    """Refuse what means nothing.

    Raises:
        UserError: naming the option.
    """
    if not config.task.attributes or config.task.emotion:
        raise UserError("the curve is of CCC: attributes alone are learnt", hint="Set task.emotion: false")
    if config.speaker.representation != "none":
        raise UserError("the curve is of models without speaker vectors", hint="Leave speaker: out")
    if config.gender.fusion != "none" or config.text.fusion != "none":
        raise UserError("the curve is of models that hear audio alone", hint="Leave gender: and text: out")
    if not counts or min(counts) < 2:
        raise UserError("--speakers wants numbers of at least 2", value=list(counts))
    if draws < 1:
        raise UserError("--draws must be at least 1", value=draws)
    if not 0 < share < 1:
        raise UserError("--share must be between 0 and 1", value=share)


def _predictions(
    config: TrainConfig,
    task: Task,
    examples: Examples,
    draw: Draw,
    names: list[str],
    others: list[str],
    seed: int,
    accelerator: Accelerator,
) -> dict[str, np.ndarray]:
    """Train on some speakers, and predict everybody's test utterances: speaker -> ``(n, A)``."""
    learnt = [utterance for name in names for utterance in draw.learn[name]]
    fold = Fold("0", Part("train", learnt))
    speaker_of = dict(zip(examples.utterances, examples.speakers, strict=True))
    own = derive_seed(seed, len(names), *names)
    splits = [
        (examples.rows(learn), examples.rows(validate))
        for learn, validate in validation_splits(fold, speaker_of, config.validation, own)
    ]
    choice = choose(config, task, examples, splits, own, accelerator)
    saved = train_chosen(choice, task, examples, examples.rows(learnt), own, accelerator)
    saved.model.cpu().eval()
    found = {}
    with torch.inference_mode():
        for name in [*names, *others]:
            parts = examples.rows(draw.test[name]).split(PREDICTION_BATCH)
            vectors = torch.cat([saved.model.embed(examples.pooled.take(part)) for part in parts])
            found[name] = saved.predict(vectors).numpy()
    return found


def _rows(
    task: Task, examples: Examples, utterances: list[str], found: list[np.ndarray], key: tuple[int, int, str]
) -> list[list[str]]:
    """A line an attribute of one test speaker; none where the labels do not vary."""
    labels, rows = examples.targets[examples.rows(utterances)].numpy(), []
    count, number, name = key
    for column, attribute in enumerate(task.attributes):
        known = ~np.isnan(labels[:, column])
        truth = labels[known, column].astype(np.float64)
        if known.sum() < 2 or np.ptp(truth) == 0:
            continue
        values = [ccc(truth, each[known, column].astype(np.float64)) for each in found]
        rows.append(
            [attribute, str(count), str(number), name, str(len(truth)), *(f"{value:.6f}" for value in values)]
        )
    return rows
