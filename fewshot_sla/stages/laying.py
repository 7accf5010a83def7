"""A head laid on the backbone of a trained run: a few-shot run of its own, made without a step of training."""

from collections.abc import Sequence
from typing import Any

import torch
import yaml
from lightning_fabric import Fabric

from episodes.datasets.base import load_split
from episodes.episode import EpisodeSpec
from episodes.errors import UserError
from episodes.images.labelled import LabelledImages
from episodes.source import EpisodeSource
from fewshot_sla.cli import configuration
from fewshot_sla.cli.composition import compose
from fewshot_sla.meta.features import base_mean
from fewshot_sla.meta.kind import META
from fewshot_sla.meta.learners.base import CALIBRATION_EPISODES
from fewshot_sla.meta.learners.embedding import EmbeddingLearner
from fewshot_sla.meta.recipe import MetaTraining
from fewshot_sla.meta.team import ALONE
from fewshot_sla.runs import checkpoint
from fewshot_sla.runs.folder import RunFolder, write_text
from fewshot_sla.stages.parts import head_described, recipe_without_head
from fewshot_sla.training.modes import evaluation_mode
from fewshot_sla.training.randomness import seeded
from fewshot_sla.training.recipe import Hardware
from fewshot_sla.training.starting import TrainedBackbone, trained_backbone

HEADS_FOLDER = "heads"


def lay_heads(
    folders: Sequence[RunFolder],
    words: Sequence[str],
    split: str,
    hardware: Hardware,
) -> list[RunFolder]:
    """Every head on every run: few-shot runs ``RUN/heads/HEAD``, which whatever takes such runs can be given.

    The backbone has the weights that the run keeps, and its normalisation. Nothing is trained; what a head may know of
    the training images it is told: their mean feature, and the start that a training on them would be given
    (``docs/calibration.md``), here of features in evaluation mode. A run that is there already and is the same is left
    as it is; results of other weights, or of another head of that name, are removed.

    Args:
        folders: runs of ``train`` on :class:`~episodes.datasets.BaseClasses`, or of ``meta_train``.
        words: names of heads (``configs/meta/head``), YAML files like those, or class paths.
        split: that they are going to be tested on.
        hardware: one process.

    Raises:
        UserError: if there is no such run or head, the head has weights that only training gives, or the run learned
            the classes of the split. Nothing is written unless all of them can be laid.
    """
    if hardware.devices > 1 or hardware.num_nodes > 1:
        raise UserError(
            "a head is laid on a run by one process: leave out --devices and --num_nodes; afterwards several can test "
            f"RUN_FOLDER/{HEADS_FOLDER}/HEAD"
        )
    laid = [_Laid(folder, word) for folder in folders for word in words]
    for one in laid:
        one.check(split)
    fabric = hardware.fabric()
    return [one.write(fabric, hardware) for one in laid]


class _Laid:
    """One head on one run; nothing is written until :meth:`write`."""

    def __init__(self, run: RunFolder, word: str) -> None:
        name, head = head_described(word)
        self.trained: TrainedBackbone = trained_backbone(run)
        self.folder = RunFolder(run.path / HEADS_FOLDER / name)
        parts = compose(
            META.defaults,
            recipe_without_head(run),
            {"learner": {"init_args": {"head": head}}},
            {"weights": str(run.path), "run_folder": str(self.folder.path)},
        )
        parser = META.parser()
        options = configuration.understood(parser, parts)
        resolved: dict[str, Any] = yaml.safe_load(parser.dump(options))
        resolved.pop("resume", None)
        command = f"# python -m fewshot_sla.meta_test {run.path} --head {word}\n"
        self.config = command + yaml.safe_dump(resolved, sort_keys=False)
        with seeded(int(resolved["seed"])):
            self.recipe: MetaTraining = configuration.instantiate(parser, options, MetaTraining)
            channels, height, width = self.trained.state["image_shape"]
            self.recipe.learner.told((channels, height, width))
        learner = self.recipe.learner
        assert isinstance(learner, EmbeddingLearner)
        self.learner = learner
        self.trained.put_into(learner)

    def check(self, split: str) -> None:
        """Raise UserError unless the head needs no training, and the classes of a split are new to the run."""
        learned = [name for name, weights in self.learner.head.named_parameters() if weights.numel() > 1]
        if learned:
            run, head = self.trained.folder.path, type(self.learner.head).__name__
            raise UserError(
                f"{head} has weights that only training gives ({learned[0]}); start a training from the run: "
                f"python -m fewshot_sla.meta_train --weights {run} --recipe ..."
            )
        base, others = (load_split(self.recipe.data, name) for name in ("train", split))
        self.trained.check_images(base)
        if split == "train":
            return
        self.trained.check_new(base, others)
        if base.class_names == others.class_names:
            raise UserError(
                f"{base.name} and {others.name} hold the same classes, so none would be new to a head; "
                "a classifier is tested with python -m fewshot_sla.test"
            )

    def write(self, fabric: Fabric, hardware: Hardware) -> RunFolder:
        """The few-shot run, told what it may know of the training images; one that is the same stays."""
        folder, state = self.folder, self._state()
        if folder.best.exists() and folder.config.exists() and folder.config.read_text() == self.config:
            before = checkpoint.load_state(folder.best)
            if all(before.get(name) == state[name] for name in state):
                return folder
        self._tell(fabric, hardware)
        folder.path.mkdir(parents=True, exist_ok=True)
        with folder.in_use():
            folder.forget()
            statistics = self.trained.normalization.to("cpu")
            tensors = {
                **checkpoint.with_prefix("model", self.learner.to("cpu").state_dict()),
                **checkpoint.with_prefix("normalization", {n: getattr(statistics, n) for n in ("mean", "deviation")}),
            }
            write_text(folder.config, self.config)
            checkpoint.save_checkpoint(folder.best, tensors, state)
        return folder

    def _state(self) -> dict[str, Any]:
        """What the checkpoint says: of which run, and of which of its weights."""
        theirs = self.trained.state
        return {
            "program": META.program,
            "tester": META.tester,
            **{name: theirs.get(name) for name in ("train_images", "image_shape", "fingerprint", "steps")},
            "torch": torch.__version__,
            "primary": self.recipe.objective.primary,
            "best": {"step": int(theirs["best"]["step"])},
        }

    def _tell(self, fabric: Fabric, hardware: Hardware) -> None:
        """Mean feature of the training images, and the head's start by episodes of them."""
        learner, recipe, head = self.learner, self.recipe, self.learner.head
        hardware.prepare(learner.to(fabric.device))
        images: LabelledImages = load_split(recipe.data, "train").on(fabric.device, hardware.placement)
        normalization = self.trained.normalization.to(fabric.device)
        spec = EpisodeSpec(recipe.train.n_way, 1, min(recipe.train.n_query, int(images.class_counts.min()) - 1))
        source = EpisodeSource(images, spec, recipe.seed, normalization)
        views = recipe.objective.transformations
        if learner.needs_base_mean:
            learner.keep_base_mean(base_mean(ALONE, learner, source, views, fabric.autocast))
        with evaluation_mode(learner), torch.no_grad():
            episodes = recipe.objective.episodes(source, range(CALIBRATION_EPISODES))
            with fabric.autocast():
                support, query = learner.embed(episodes.support), learner.embed(episodes.query)
            head.calibrate(support, episodes.support_labels, query, episodes.ways)
