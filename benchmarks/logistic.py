"""``python -m benchmarks.logistic``: the few-shot logistic regression, against a loop over scikit-learn.

Features are those of a class-mean model after ReLU, [T, S, 640] float32, divided by their norms; C = 1, no intercept,
as the head has it. What is timed starts from them and ends with the weights, or with the gradient of the features;
scikit-learn has no backward pass, so *forward and backward* of ours stands beside its fit alone. Its arrays are made
beforehand. *scikit-learn* has the defaults (L-BFGS until the gradient is below 1e-4), *to our precision* Newton-CG
until 1e-10, on one episode at a time only. How far the probabilities of each are from those of ours is measured in the
same run.
"""

import argparse
import os
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from benchmarks.provenance import print_table, provenance, ratio, time_in_turn, write_json
from fewshot_sla.heads.base import one_hot
from fewshot_sla.heads.normalized import centred_directions
from fewshot_sla.solvers.logistic.regression import logistic_regression

SHAPES = ((5, 5), (20, 5))
EPISODES = (1, 8, 64)
DIMENSION = 640
DEFAULT = "scikit-learn"
OURS = ("ours, forward", "ours, forward and backward")
PEERS: dict[str, dict[str, Any]] = {
    DEFAULT: {"max_iter": 1000},
    "scikit-learn, to our precision": {"solver": "newton-cg", "tol": 1e-10, "max_iter": 1000},
}


def features_and_labels(ways: int, shots: int, episodes: int) -> tuple[Tensor, Tensor]:  # [T, S, D] float32, [T, S]
    """Means and deviations with standard normal entries, after ReLU, of norm 1."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(ways).repeat_interleave(shots)
    means = torch.randn(episodes, ways, DIMENSION, generator=generator)
    features = means[:, labels] + torch.randn(episodes, len(labels), DIMENSION, generator=generator)
    return centred_directions(features.relu()), labels.expand(episodes, -1)


def forward(
    rows: Tensor,  # [T, S, D] float32
    labels: Tensor,  # [T, S]
    ways: int,
) -> Tensor:  # [T, D, W] float64
    """Weights of all episodes."""
    rows = rows.double()
    return rows.mT @ logistic_regression(rows @ rows.mT, one_hot(labels, ways, rows.dtype), bias=False).value[:, :-1]


def forward_backward(features: Tensor, labels: Tensor, ways: int) -> Tensor:  # [T, S, D]
    """Gradient of the features, for a fixed gradient of the weights."""
    rows = features.detach().requires_grad_()
    weights = forward(rows, labels, ways)
    upstream = torch.linspace(-1, 1, weights.numel(), dtype=weights.dtype, device=weights.device).view_as(weights)
    return torch.autograd.grad((weights * upstream).sum(), rows)[0]


def one_by_one(settings: dict[str, Any], rows: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    """Weights of every episode, [W, D] each."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # Newton-CG may stop at what rounding allows
        return [
            LogisticRegression(C=1.0, fit_intercept=False, **settings).fit(x, y).coef_
            for x, y in zip(rows, labels, strict=True)
        ]


def measure(ways: int, shots: int, episodes: int, rounds: int, device: torch.device) -> dict[str, Any]:
    """Time one problem shape, all in turn."""
    features, labels = features_and_labels(ways, shots, episodes)
    arrays = features.double().numpy(), labels.numpy()
    on_device = features.to(device), labels.to(device), ways
    peers = {name: settings for name, settings in PEERS.items() if episodes == 1 or name == DEFAULT}
    contestants: dict[str, Callable[[], object]] = {
        "ours, forward": partial(forward, *on_device),
        "ours, forward and backward": partial(forward_backward, *on_device),
        **{name: partial(one_by_one, settings, *arrays) for name, settings in peers.items()},
    }
    timings = time_in_turn(contestants, rounds=rounds)
    ours = forward(*on_device).detach().cpu()
    expected = (features.double() @ ours).softmax(-1)
    differences = {}
    for name, settings in peers.items():
        weights = torch.from_numpy(np.stack(one_by_one(settings, *arrays))).mT
        differences[name] = float(((features.double() @ weights).softmax(-1) - expected).abs().max())
    return {
        "ways": ways,
        "shots": shots,
        "episodes": episodes,
        "contestants": {name: timing.facts(episodes) for name, timing in timings.items()},
        "ratios": {
            f"{peer} / {name}": ratio(timings[peer], timings[name])
            for peer in peers
            for name in timings
            if name.startswith("ours")
        },
        "largest_difference_of_probabilities": differences,
    }


def row(cell: dict[str, Any]) -> list[str]:
    """A line of the printed table."""
    line = [f"{cell['ways']}-way {cell['shots']}-shot x {cell['episodes']}"]
    for name in (*OURS, *PEERS):
        facts = cell["contestants"].get(name)
        line.append(f"{1e3 * facts['median_s']:.1f}" if facts else "")
    for name in OURS:
        line.append("{median:.1f} ({min:.1f} to {max:.1f})".format(**cell["ratios"][f"{DEFAULT} / {name}"]))
    return line


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the grid."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.logistic", description=__doc__)
    parser.add_argument("--device", default="cpu", help="of ours; scikit-learn computes on the CPU")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of ours")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", help="write the results to this file")
    parser.add_argument("--quick", action="store_true", help="5 ways, 1 and 8 episodes")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    begun, load = provenance(device), [os.getloadavg()[0]]
    cells = [
        measure(ways, shots, episodes, options.rounds, device)
        for ways, shots in (SHAPES[:1] if options.quick else SHAPES)
        for episodes in (EPISODES[:2] if options.quick else EPISODES)
    ]
    load.append(os.getloadavg()[0])
    ratios = [f"{name}: times faster than {DEFAULT}" for name in OURS]
    print_table(["ms", *OURS, *PEERS, *ratios], [row(cell) for cell in cells])
    if options.json:
        about = {"provenance": begun, "load_average": load, "cores": os.cpu_count(), "quick": options.quick}
        write_json(options.json, {**about, "dimension": DIMENSION, "cells": cells})


if __name__ == "__main__":
    main()
