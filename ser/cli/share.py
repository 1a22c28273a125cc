"""A call's share of the work, for the verbs that train: seed, fold, and one job of several."""

from __future__ import annotations

from typing import TypedDict

from jsonargparse import Namespace

from ser.core.config import Parser
from ser.core.errors import UserError


class Share(TypedDict):
    """Keyword arguments of what trains an experiment."""

    seed: int
    only_fold: str | None
    job: int
    jobs: int


def add_share_arguments(parser: Parser) -> None:
    """The options ``--seed``, ``--fold``, ``--nj`` and ``--job``."""
    work = parser.add_argument_group("this call's share of the work")
    work.add_argument("--seed", type=int, default=0)
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
