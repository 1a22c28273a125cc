"""Maxima over the simplex: weights that are not negative and have the sum 1.

Several starts (corners, centre, draws), each followed to a local maximum; of the maxima that are equal, the
one nearest to the plain mean, which has been fitted least.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from scipy.optimize import minimize

from ser.fusion.combine import uniform
from ser.fusion.objective import ClassObjective, ConcordanceObjective

# Random starts beside the corners and the centre.
DRAWS = 8
EQUAL = 1e-9


def starts(members: int, seed: int, draws: int = DRAWS) -> list[np.ndarray]:
    """Centre, corners, and draws that are uniform over the simplex; each ``(M,)``."""
    drawn = np.random.default_rng(seed).dirichlet(np.ones(members), draws)
    return [uniform(members), *np.eye(members), *drawn]


def best_weights(objective: ClassObjective | ConcordanceObjective, seed: int = 0) -> np.ndarray:
    """The weights ``(M,)`` of the highest value that is found; never below that of a start.

    Args:
        objective: of the weights.
        seed: of the drawn starts.
    """
    if objective.members == 1:
        return np.ones(1)
    begun = starts(objective.members, seed)
    if isinstance(objective, ConcordanceObjective):
        found = [ascend(objective.value_and_gradient, start) for start in begun]
    else:
        likeliest = ascend(objective.likelihood, uniform(objective.members))
        found = [climb(objective, start) for start in [likeliest, *begun]]
    return nearest_to_mean([*begun, *found], objective.value)


def nearest_to_mean(points: Iterable[np.ndarray], value: Callable[[np.ndarray], float]) -> np.ndarray:
    """The point of the highest value; of equals the one nearest to the centre."""
    rated = [(value(point), point) for point in points]
    highest = max(score for score, _ in rated)
    equals = [point for score, point in rated if score >= highest - EQUAL]
    return min(equals, key=lambda point: (float(np.square(point).sum()), *point))


def ascend(smooth: Callable[[np.ndarray], tuple[float, np.ndarray]], start: np.ndarray) -> np.ndarray:
    """A local maximum of a smooth function from ``start`` (M,), by sequential quadratic programming.

    Args:
        smooth: weights -> value and gradient.
        start: on the simplex.
    """

    def descended(weights: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = smooth(weights)
        return -value, -gradient

    constraint = {"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like}
    result = minimize(
        descended, start, jac=True, method="SLSQP", bounds=[(0, 1)] * len(start), constraints=[constraint],
        options={"ftol": 1e-12, "maxiter": 500},
    )  # fmt: skip
    weights = np.clip(result.x, 0, None)
    return weights / weights.sum()


def climb(objective: ClassObjective, start: np.ndarray) -> np.ndarray:
    """A maximum along every line that is tried from it, of a function of steps, from ``start`` (M,)."""
    weights, value = start, objective.value(start)
    while True:
        before = value
        for direction in directions(weights):
            moved = objective.best_along(weights, direction)
            if (reached := objective.value(moved)) > value + EQUAL:
                weights, value = moved, reached
        if value <= before:
            return weights


def directions(weights: np.ndarray) -> Iterator[np.ndarray]:
    """Lines through a point: from member to member, to each corner, to the centre."""
    corners = np.eye(len(weights))
    for one, other in itertools.combinations(corners, 2):
        yield one - other
    for corner in [*corners, uniform(len(weights))]:
        if not np.allclose(corner, weights):
            yield corner - weights
