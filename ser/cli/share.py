"""What the verbs that train have in common: the sets, and a call's share of the work."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

from jsonargparse import Namespace

from ser.core.config import Parser
from ser.core.errors import UserError


class Share(TypedDict):
    """Keyword arguments of what trains an experiment."""

    seed: int
    only_fold: str | None
    job: int
    jobs: int


def add_set_arguments(group: Any, features: bool) -> None:
    """The options for validation and test sets, and the experiment's folder.

    Args:
        group: of the parser.
        features: whether the verb reads features, and each set has its own.
    """
    group.add_argument("--validation-data", type=Path, help="the corpus's validation set")
    if features:
        group.add_argument("--validation-feats", type=Path, help="its features")
    group.add_argument("--test-data", type=list[Path], default=[], help="the corpus's test sets: [a, b]")
    if features:
        group.add_argument(
            "--test-feats", type=list[Path], default=[], help="their features, in the same order"
        )
    group.add_argument("--exp", type=Path, required=True, help="folder of the experiment")


def add_share_arguments(parser: Parser) -> None:
    """The options ``--seed``, ``--fold``, ``--nj`` and ``--job``."""
    work = parser.add_argument_group("this call's share of the work")
    work.add_argument("--seed", type=int, default=0, help="of everything random; its folder is seed<N>")
    work.add_argument("--fold", type=str, help="train this fold alone")
    work.add_argument("--nj", type=int, default=1, help="calls that share the folds")
    work.add_argument("--job", type=int, default=1, help="this call's number, from 1")


def share_of(options: Namespace) -> Share:
    """What the options say.

    Raises:
        UserError: for a job that is none of ``--nj``.
    """
    if not 1 <= options.job <= options.nj:
        raise UserError("--job counts from 1 to --nj", value=f"{options.job} of {options.nj}")
    return Share(seed=options.seed, only_fold=options.fold, job=options.job, jobs=options.nj)
