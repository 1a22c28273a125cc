"""What is said of a peer in one YAML: where its weights are, what they heard, on which scales it predicts."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import jsonargparse

from ser.core.config import Parser
from ser.core.errors import UserError
from ser.core.files import read_yaml

Family = Literal["audeering", "odyssey", "emotion2vec"]
SHIPPED = "ser.peers"


@dataclass(frozen=True)
class PeerConfig:
    """A peer.

    Args:
        name: what tables call it.
        family: whose architecture it has.
        model: folder or hub name of its weights.
        licence: of the weights.
        source: where they and their description are published.
        trained_on: the training data, in words.
        corpora: short names of corpora (as labels.yaml has them) that it has, or may have, heard in training.
        ranges: attribute -> ends of the scale that it predicts it on; none for a classifier.
        window: seconds that it hears at once; longer audio is cut into windows, whose outputs are averaged.
    """

    name: str
    family: Family
    model: str
    licence: str
    source: str
    trained_on: str
    corpora: list[str] = field(default_factory=list)
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    window: float = 30.0

    def check(self) -> None:
        """Refuse what no peer can be.

        Raises:
            UserError: naming the key.
        """
        for name in ("name", "model", "licence", "source", "trained_on"):
            if not getattr(self, name).strip():
                raise UserError(f"{name} is empty")
        if not 0 < self.window < float("inf"):
            raise UserError("window must be a positive number of seconds", value=self.window)
        for name, (low, high) in self.ranges.items():
            if not float("-inf") < low < high < float("inf"):
                raise UserError(f"ranges.{name} wants two numbers, the lower first", value=f"{low}, {high}")


def shipped() -> dict[str, Path]:
    """Name -> file of the configurations that come with the package."""
    folder = Path(str(resources.files(SHIPPED))) / "conf"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def read_config(where: str, **changes: Any) -> PeerConfig:
    """Read a configuration.

    Args:
        where: the name of one that comes with the package, or a YAML file of one's own.
        changes: fields given elsewhere, as on the command line; None changes nothing.

    Raises:
        UserError: no such configuration, an unknown or missing key, a value of a wrong type.
    """
    known = shipped()
    path = known.get(where, Path(where))
    if not path.is_file():
        raise UserError(
            "no such peer", value=where, hint=f"Known are {', '.join(known)}, or a YAML file of your own"
        )
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise UserError("not a mapping of options to values", file=path)
    parser = Parser(prog="ser peer")
    parser.add_class_arguments(PeerConfig, "peer")
    given = {name: value for name, value in changes.items() if value is not None}
    try:
        config = parser.instantiate(parser.parse_object({"peer": {**content, **given}})).peer
        config.check()
    except (UserError, jsonargparse.ArgumentError, TypeError, ValueError) as error:
        what = " ".join(str(getattr(error, "what", error)).split())
        raise UserError(what, file=path, value=getattr(error, "value", None)) from None
    return config
