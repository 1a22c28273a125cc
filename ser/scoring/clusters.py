"""What the bootstrap draws: speakers, dialogues or sessions, each whole with all its utterances.

Utterances of one speaker are alike, and so are those of one dialogue. Which of the two is the unit is a
choice about what the result shall hold for: new speakers, or new dialogues of such speakers.
"""

from __future__ import annotations

import numpy as np

from ser.core.errors import UserError
from ser.data.datadir import DataDir

SPEAKER = "speaker"
# Unit -> the table that names each utterance's.
TABLES = {SPEAKER: "utt2spk", "dialogue": "utt2dialogue", "session": "utt2session"}


def check_unit(unit: str) -> None:
    """Refuse what is no unit of the bootstrap.

    Raises:
        UserError: naming those that there are.
    """
    if unit not in TABLES:
        raise UserError("no such --cluster", value=unit, hint=f"There are {', '.join(TABLES)}")


def cluster_indices(data: DataDir, unit: str) -> np.ndarray:
    """Index of each utterance's cluster ``(N,)``, in the order of ``data.utterances``.

    Clusters are numbered in the C order of their names.

    Args:
        data: the data directory.
        unit: ``speaker``, ``dialogue`` or ``session``.

    Raises:
        UserError: for another unit, without the unit's table, and for an utterance that it lacks.
    """
    check_unit(unit)
    table = data.tables.get(TABLES[unit])
    if table is None:
        raise UserError(
            f"no such file, and intervals over {unit}s need it", file=data.path / TABLES[unit],
            hint="Leave --cluster out for intervals over speakers",
        )  # fmt: skip
    lacking = next((utterance for utterance in data.utterances if utterance not in table), None)
    if lacking is not None:
        raise UserError(
            f"utterance without a {unit}", file=data.path / TABLES[unit], value=lacking,
            hint="Leave --cluster out for intervals over speakers",
        )  # fmt: skip
    return np.unique([table[utterance] for utterance in data.utterances], return_inverse=True)[1]
