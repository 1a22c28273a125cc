"""What tests of adaptation share: quick experiments on a made-up corpus, adapted."""

from pathlib import Path

from ser.downstream.config import OptimizerConfig, TaskConfig, TrainConfig
from ser.downstream.experiment import Experiment, Sources
from ser.downstream.predict import predict_experiment
from ser.downstream.train import train_experiment
from ser.personalise.adaptation import AdaptationConfig
from ser.personalise.adapted import adapt_experiment
from ser.personalise.similar import Selection
from tests.downstream.corpus import make_set

CONFIG = TrainConfig(
    task=TaskConfig(attributes=["arousal"]), optimizer=OptimizerConfig(lr=0.02, epochs=5, patience=5)
)
QUICK = AdaptationConfig(epochs=2, selection=Selection(neighbours=2, components=1))


def trained(
    folder: Path, name: str = "toy", config: TrainConfig = CONFIG, crossed: bool = False
) -> Experiment:
    """An experiment on a made-up corpus: sets of its own, or one cross-validated set of six speakers."""
    if crossed:
        sources = Sources(*make_set(folder, "all", list("abcdef"), folds=True))
    else:
        sets = {
            each: make_set(folder, each, list(speakers))
            for each, speakers in {"train": "abcd", "validation": "efg", "one": "hi", "two": "ij"}.items()
        }
        tests = [sets[each] for each in ("one", "two")]
        sources = Sources(*sets["train"], *sets["validation"], *map(list, zip(*tests, strict=True)))
    experiment = Experiment(folder / "exp" / name)
    train_experiment(config, sources, experiment)
    predict_experiment(experiment)
    return experiment


def functionals_of(experiment: Experiment) -> Path:
    """Features that stand in for functionals: those it was trained on."""
    return experiment.path.parent.parent / "feats" / "toy"


def adapted_to(experiment: Experiment, out: Path, config: AdaptationConfig = QUICK, **options) -> Experiment:
    """The experiment's adaptation to its test speakers, in ``out``."""
    adapt_experiment(experiment, Experiment(out), functionals_of(experiment), config, **options)
    return Experiment(out)
