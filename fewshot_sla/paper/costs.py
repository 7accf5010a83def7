"""What a training costs: steps, floating-point operations, and hours by what runs of its kind took."""

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from episodes.datasets.base import DataSource, open_split
from episodes.errors import UserError
from fewshot_sla.backbones.base import Backbone
from fewshot_sla.classification.objectives import ClassificationObjective
from fewshot_sla.cli.build import build
from fewshot_sla.meta.objectives import EpisodeObjective
from fewshot_sla.paper.recipe_of_run import differences
from fewshot_sla.runs.checkpoint import load_state
from fewshot_sla.runs.folder import RunFolder

Configuration = Mapping[str, Any]  # resolved, as plain containers
# What is built from descriptions: abstract classes, of which the description names a concrete one.
_BACKBONE: Any = Backbone
_DATA: Any = DataSource


@dataclass(frozen=True)
class Cost:
    """Of one training.

    Attributes:
        steps: of the optimiser.
        flops: of the forward passes of the backbone, two a multiply-add; None where the size of the images is not
            known. The backward passes are about twice as many more.
        hours: on the device; None if nothing of the kind was timed.
        device: that the hours were taken from.
    """

    steps: int
    flops: int | None
    hours: float | None
    device: str


@dataclass(frozen=True)
class _Timing:
    """A training that was timed."""

    configured: Configuration
    seconds_per_flop: float
    device: str
    written: float  # when, seconds since the epoch


class Costs:
    """What trainings cost, by the timings in a folder of runs.

    Args:
        folder: with run folders at any depth.
    """

    def __init__(self, folder: Path) -> None:
        self._timings = list(_timings(folder))

    def of(self, recipe: Configuration, shape: Sequence[int] | None, steps: int) -> Cost:
        """The cost of a recipe on images of a shape, for a number of steps."""
        if shape is None:
            return Cost(steps, None, None, "")
        flops = steps * flops_per_step(recipe, shape)
        near = [
            (rank, timing) for timing in self._timings if (rank := _nearness(timing.configured, recipe)) is not None
        ]
        if not near:
            return Cost(steps, flops, None, "")
        timing = max(near, key=lambda entry: (entry[0], entry[1].written))[1]
        return Cost(steps, flops, flops * timing.seconds_per_flop / 3600, timing.device)


def flops_per_step(recipe: Configuration, shape: Sequence[int]) -> int:
    """Of the backbone's forward passes of all images and views of a step; heads and linear layers are not counted.

    Raises:
        UserError: if the recipe has no backbone that can be built alone.
    """
    return images_per_step(recipe) * views(recipe) * flops_per_image(backbone_of(recipe), shape)


def flops_per_image(backbone: Mapping[str, Any], shape: Sequence[int]) -> int:
    """Of one forward pass of a described backbone on one image (C, H, W); nothing is computed, shapes alone count."""
    return _flops_per_image(json.dumps(backbone, sort_keys=True), tuple(shape))


@functools.cache
def _flops_per_image(backbone: str, shape: tuple[int, ...]) -> int:
    with torch.device("meta"):
        network = build(_BACKBONE, json.loads(backbone))
        image = torch.empty(1, *shape)
    network.train(False)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    return int(counter.get_total_flops())


def images_per_step(recipe: Configuration) -> int:
    """Images of a step before they are transformed."""
    if "batch_size" in recipe:
        return int(recipe["batch_size"])
    episode = recipe["train"]
    return int(recipe["episodes_per_step"] * episode["n_way"] * (episode["k_shot"] + episode["n_query"]))


def views(recipe: Configuration) -> int:
    """Number M of transformations of each image."""
    return _views(json.dumps(recipe["objective"], sort_keys=True), "batch_size" in recipe)


@functools.cache
def _views(objective: str, of_images: bool) -> int:
    kind: Any = ClassificationObjective if of_images else EpisodeObjective
    return int(build(kind, json.loads(objective)).transformations.m)


def backbone_of(recipe: Configuration) -> Mapping[str, Any]:
    """The description of the backbone.

    Raises:
        UserError: if there is none.
    """
    found = recipe.get("backbone") or recipe.get("learner", {}).get("init_args", {}).get("backbone")
    if not isinstance(found, Mapping):
        raise UserError("the learner of this recipe has no backbone of its own")
    return found


def image_shape(recipe: Configuration, known: Sequence[int] | None) -> Sequence[int] | None:
    """What is known of the shape of the images; else that of the training images, if they are there."""
    if known:
        return known
    try:
        return open_split(build(_DATA, recipe["data"]), "train").image_shape
    except UserError:
        return None


def _nearness(configured: Configuration, recipe: Configuration) -> int | None:
    """3: the same recipe; 2: the same data and network; 1: the same network; None: nothing in common."""
    different = {key.split(".")[0] for key, _, _ in differences(configured, recipe)}
    if not different:
        return 3
    try:
        same_network = backbone_of(configured) == backbone_of(recipe)
    except UserError:
        return None
    return (2 if "data" not in different else 1) if same_network else None


def _timings(folder: Path) -> Iterator[_Timing]:
    for path in sorted(folder.rglob("results.json")):
        # What cannot be read tells nothing of the time; the table says what is wrong with it.
        with suppress(UserError, OSError, ValueError, KeyError, TypeError, AttributeError):
            timing = _timing(path)
            if timing.seconds_per_flop > 0:
                yield timing


def _timing(path: Path) -> _Timing:
    document = json.loads(path.read_text(encoding="utf-8"))
    seconds, training = document["wall_time_s"]["training"], document["training"]
    configured = document["configuration"]
    shape = load_state(RunFolder(path.parent).checkpoint)["image_shape"]
    flops = training["steps"] * flops_per_step(configured, shape)
    return _Timing(configured, seconds / flops, _device(training["device"]), path.stat().st_mtime)


def _device(facts: Mapping[str, Any]) -> str:
    """What it is, and how many threads or processes."""
    many = f" x {facts['processes']}" if facts.get("processes", 1) > 1 else ""
    threads = f", threads: {facts['threads']}" if facts["type"] == "cpu" else ""
    return f"{facts['name']}{threads}{many}"
