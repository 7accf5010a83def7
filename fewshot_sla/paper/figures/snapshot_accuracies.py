"""Training and test accuracy of every snapshot of a classifier, by all of its inferences; kept in the run folder."""

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from episodes.datasets.base import open_split
from episodes.errors import UserError
from episodes.images.base import Images
from fewshot_sla.classification.classifier import Classifier
from fewshot_sla.classification.kind import CLASSIFICATION
from fewshot_sla.classification.predictions import images_per_pass, predict_classes
from fewshot_sla.classification.recipe import Classification
from fewshot_sla.classification.testing import check_images
from fewshot_sla.runs.checkpoint import load_state
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.records import from_json, to_json, write_json
from fewshot_sla.training.recipe import Hardware
from fewshot_sla.training.trained import TrainedRun, load_trained

SPLITS = ("train", "test")


@dataclass(frozen=True)
class SnapshotAccuracy:
    """The accuracies of one snapshot on images of one split.

    Attributes:
        split: train or test.
        fingerprint: of the split.
        images: how many of it.
        step: of the snapshot.
        accuracies: by inference, fractions of images whose class is predicted.
    """

    split: str
    fingerprint: str
    images: int
    step: int
    accuracies: dict[str, float]

    @property
    def key(self) -> tuple[str, str, int, int]:
        """What tells it apart."""
        return self.split, self.fingerprint, self.images, self.step


@dataclass(frozen=True)
class SnapshotRun:
    """A run with snapshots.

    Attributes:
        run: with the weights of its first snapshot.
        steps: of its snapshots.
        images: its splits.
        chosen: of each split, numbers of the images that are looked at.
        known: what was computed before.
    """

    run: TrainedRun[Classification, Classifier]
    steps: list[int]
    images: dict[str, Images]
    chosen: dict[str, Tensor]
    known: dict[tuple[str, str, int, int], SnapshotAccuracy]

    def key(self, split: str, step: int) -> tuple[str, str, int, int]:
        """What is to be known of a snapshot."""
        return split, self.images[split].fingerprint, len(self.chosen[split]), step

    def missing(self) -> list[tuple[int, str]]:
        """The steps and splits that are not known yet."""
        return [(step, split) for step in self.steps for split in SPLITS if self.key(split, step) not in self.known]

    def curve(self, split: str, inference: str) -> list[float]:
        """The accuracies of every snapshot, all of them known."""
        return [self.known[self.key(split, step)].accuracies[inference] for step in self.steps]

    @property
    def is_finished(self) -> bool:
        """Whether the last snapshot is of the last step."""
        return self.steps[-1] == self.run.recipe.loop.steps


def open_runs(folders: Sequence[RunFolder], most: int) -> list[SnapshotRun]:
    """Runs with their snapshots and images; nothing is computed yet.

    Args:
        folders: runs of train.
        most: images of each split to look at, the same ones each time; 0 for all.

    Raises:
        UserError: if a run is of another kind, has no snapshots, or not the images that it was trained on or that the
            first run has.
    """
    found = [_open_run(folder, most) for folder in folders]
    for other in found[1:]:
        for split in SPLITS:
            if other.images[split].fingerprint != found[0].images[split].fingerprint:
                raise UserError(
                    f"{other.run.folder.path}: its {split} images are not those of {found[0].run.folder.path}; "
                    "curves in one figure need the same"
                )
    return found


def evaluate_snapshots(
    found: SnapshotRun,
    hardware: Hardware,
    fabric: Fabric,
    on_images: Callable[[str, int], None],  # told what is being looked at, and how many images more are done
) -> None:
    """Compute what is missing, in evaluation mode on images as they are; what is known is kept after every snapshot."""
    run = found.run
    missing = found.missing()
    if not missing:
        return
    hardware.prepare(run.to(fabric.device).model)
    with ExitStack() as stack:
        sources = {}
        for split in {split for _, split in missing}:
            sources[split] = found.images[split].on(fabric.device, hardware.placement).batches(1, 0)
            stack.callback(sources[split].close)
        for step, split in missing:
            now = run.at(step)
            objective = now.recipe.objective
            batches = sources[split].in_order(
                found.chosen[split], images_per_pass(objective, found.images[split].image_shape)
            )
            right = dict.fromkeys(objective.inferences, 0)
            for batch in batches:
                told = predict_classes(now.model, objective, [batch], now.normalization, autocast=fabric.autocast)
                for name in right:
                    right[name] += int(told.right(name).sum())
                on_images(f"{run.folder.path.name}, step {step}, {split}", len(batch.labels))
            images = len(found.chosen[split])
            record = SnapshotAccuracy(*found.key(split, step), {name: count / images for name, count in right.items()})
            found.known[record.key] = record
            _keep(run.folder, found.known)


def _open_run(folder: RunFolder, most: int) -> SnapshotRun:
    folder.require()
    steps = folder.snapshot_steps()
    if not steps:
        load_trained(CLASSIFICATION, folder)  # a run of another kind is said to be one
        every = max(1, load_state(folder.checkpoint).get("steps", 20) // 20)
        raise UserError(
            f"{folder.path}: there are no snapshots of the weights in this run; train with "
            f"--loop.snapshot_every {every} (or another number of steps)"
        )
    run = load_trained(CLASSIFICATION, folder, steps[0])
    images = {split: open_split(run.recipe.data, split) for split in SPLITS}
    for split in SPLITS:
        check_images(run, images[split])
    train = images["train"]
    if train.fingerprint_is_of_content and train.fingerprint != run.state.get("fingerprint"):
        raise UserError(f"{folder.path}: {train.name} is not what the run was trained on (another fingerprint)")
    chosen = {split: _chosen(len(images[split]), most) for split in SPLITS}
    return SnapshotRun(run, steps, images, chosen, _known(folder))


def _chosen(count: int, most: int) -> Tensor:  # [n] int64
    """Numbers of images: all, or so many at random, the same ones each time."""
    if not most or most >= count:
        return torch.arange(count)
    return torch.from_numpy(np.sort(np.random.default_rng(0).permutation(count)[:most]))


def _known(folder: RunFolder) -> dict[tuple[str, str, int, int], SnapshotAccuracy]:
    path = folder.snapshot_accuracies
    if not path.is_file():
        return {}
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["accuracies"]
        records = [from_json(SnapshotAccuracy, entry, f"accuracies[{place}]") for place, entry in enumerate(entries)]
    except (ValueError, KeyError, TypeError, UserError) as error:
        raise UserError(f"{path}: the file is damaged ({error}); remove it, and it is made anew") from error
    return {record.key: record for record in records}


def _keep(folder: RunFolder, known: dict[tuple[str, str, int, int], SnapshotAccuracy]) -> None:
    write_json(folder.snapshot_accuracies, {"accuracies": [to_json(record) for record in known.values()]})
