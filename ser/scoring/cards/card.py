"""The model card of an experiment: README.md in its folder, with the head that the Hugging Face hub reads.

A folder that is pushed to the hub, or looked at in a browser of repositories, shows its README.md
first: the card is found without being looked for. Every fact comes from a file; what no file says
is "not known".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import yaml
from markupsafe import Markup

from ser.core import page
from ser.core.files import write_text
from ser.core.log import get_logger
from ser.data.datadir import DataDir
from ser.scoring.cards.facts import NOT_KNOWN, Facts, gather, labels_of, portable
from ser.scoring.cards.limits import limits
from ser.scoring.schema import Classification, Scores
from ser.scoring.summary import group_notes, interval_notes
from ser.scoring.tables.table import escaped
from ser.scoring.text import counted, shown, with_interval

logger = get_logger(__name__)
CARD = "README.md"
MARK = "<!-- Written by 'ser score' from the files here. Delete this line, and your changes are kept. -->"


def make_card(experiment: Path, scored: Mapping[Path, Scores], data: DataDir | None = None) -> str | None:
    """The text of the card.

    Args:
        experiment: exp/<tag>.
        scored: file -> scores that are about to be written to it; those of other sets are read.
        data: a data directory that is in memory already.

    Returns:
        None when nothing is scored, for a peer (``ser peer``), and when a README.md is there that somebody
        else has written.

    Raises:
        UserError: for a configuration that is none.
    """
    path = experiment / CARD
    if path.is_file() and MARK not in path.read_text(encoding="utf-8", errors="replace"):
        logger.info("%s is not ours: no model card written", path)
        return None
    if any("peer" in scores.info for scores in scored.values()):
        logger.info("%s was not trained here: its model card is its publisher's", experiment)
        return None
    facts = gather(experiment, scored, data)
    return None if facts is None else render(facts)


def write_card(experiment: Path, text: str | None) -> list[Path]:
    """Write what ``make_card`` made, whole or not at all, and return the files: one, or none."""
    if text is None:
        return []
    write_text(experiment / CARD, text)
    return [experiment / CARD]


def render(facts: Facts) -> str:
    """The card as Markdown; strings from files cannot break out of their places."""
    environment = jinja2.Environment(
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined, finalize=_shown_in_markdown, autoescape=False,
    )  # fmt: skip
    environment.filters["code"] = Markup
    environment.globals.update(
        count=_count, counted=counted, group_notes=group_notes, interval_notes=interval_notes,
        labels_of=labels_of, shown=shown, span=_span, with_interval=with_interval,
    )  # fmt: skip
    upstream = {**dict.fromkeys(UPSTREAM_KEYS), **(facts.info.get("upstream") or {})}
    data = facts.training
    text = environment.from_string(page.resource(__package__, "model_card.txt")).render(
        facts=facts,
        row=facts.row,
        mark=MARK,
        front=_yaml(front_matter(facts)),
        labels=labels_of(facts.main),
        what=task(facts),
        upstream=upstream,
        upstream_name=_upstream_name(upstream["upstream"]),
        corpus_name=corpus_name(facts),
        licence=data.labels.licence if data else facts.main.data.licence,
        chosen_on=chosen_on(facts),
        limits=[escaped(limit) for limit in limits(facts)],
        config=_yaml(facts.config),
    )
    return _one_blank_line(text)


UPSTREAM_KEYS = (
    "upstream",
    "family",
    "checkpoint",
    "layers",
    "dim",
    "sample_rate",
    "precision",
    "parameters",
)


def front_matter(facts: Facts) -> dict[str, Any]:
    """The head that the hub reads: what is certain, hence neither a licence nor a language."""
    return {
        "library_name": "ser",
        "pipeline_tag": "audio-classification",
        "tags": ["speech-emotion-recognition", "speech", "audio"],
        "metrics": sorted({name for _, part in labels_of(facts.main) for name in part.metrics}),
    }


def task(facts: Facts) -> str:
    """``emotion (4 classes)``, ``arousal and valence``."""
    words = [
        f"{name} ({len(part.classes)} classes)" if isinstance(part, Classification) else name
        for name, part in labels_of(facts.main)
    ]
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def corpus_name(facts: Facts) -> str:
    """``EmoDB (emodb), release 2005``."""
    name = facts.trained_on or NOT_KNOWN
    labels = facts.training.labels if facts.training else None
    release = labels.release if labels else NOT_KNOWN
    title = f"{facts.corpus.title} ({name})" if facts.corpus and facts.corpus.title != name else name
    return f"{title}, release {release}"


def chosen_on(facts: Facts) -> str | None:
    """Where layer, learning rate and epoch were chosen."""
    validation = (facts.config or {}).get("validation")
    if any(each.role == "validation" for each in facts.sets):
        return "the corpus's validation set"
    if not isinstance(validation, Mapping):
        return None
    if validation.get("method") == "inner_folds":
        return f"{validation.get('folds')} inner folds of the training speakers"
    if validation.get("method") == "utterances":
        return "utterances that are held out, of speakers that are trained on"
    return "training speakers that are held out"


def _upstream_name(name: str | None) -> str | None:
    """An upstream's name without the folders of the machine it lay on."""
    return None if name is None else ":".join(map(portable, str(name).split(":")))


def _shown_in_markdown(value: Any) -> Any:
    """What a template's expression becomes: None is not known, text is escaped."""
    if value is None:
        return NOT_KNOWN
    return value if isinstance(value, Markup) else escaped(str(value))


def _count(number: int | None) -> str | None:
    """A number with commas."""
    return None if number is None else f"{number:,}"


def _span(limits: list[float]) -> str:
    """``1 to 7``."""
    return f"{limits[0]:g} to {limits[1]:g}"


def _yaml(value: Any) -> str:
    """Plain YAML."""
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True) if value is not None else ""


def _one_blank_line(text: str) -> str:
    """Never two blank lines, so that the template can be laid out freely."""
    lines: list[str] = []
    for line in text.splitlines():
        if line.strip() or (lines and lines[-1]):
            lines.append(line.rstrip())
    return "\n".join(lines).strip() + "\n"
