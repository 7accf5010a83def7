"""Who evaluates the same episodes in :mod:`benchmarks.evaluation`: one after another, and learn2learn's loop."""

from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.peers import TensorImages, learn2learn, learn2learn_dataset
from episodes.episode import EpisodeSpec
from episodes.images.labelled import LabelledImages
from episodes.images.normalization import Normalization
from episodes.source import EpisodeSource
from fewshot_sla.backbones import Backbone
from fewshot_sla.meta import EpisodeObjective
from fewshot_sla.meta.learners import EmbeddingLearner
from fewshot_sla.meta.protocol import correct_by_class
from fewshot_sla.training.modes import evaluation_mode


class Case(NamedTuple):
    """What is evaluated: images, a backbone, an objective, a size of episode, and how many episodes."""

    images: LabelledImages
    backbone: Backbone
    objective: EpisodeObjective
    k_shot: int
    episodes: int  # that are evaluated on cached features
    at_once: int  # of them, that the slow ways take in one round; the rounds take different ones
    rounds: int  # how many times each way is timed

    @property
    def source(self) -> EpisodeSource:
        """Its episodes."""
        return EpisodeSource(self.images, EpisodeSpec(5, self.k_shot, 15), 0, Normalization.of(self.images))


def accuracies_one_by_one(
    learner: EmbeddingLearner, objective: EpisodeObjective, source: EpisodeSource, number: int
) -> dict[str, float]:
    """Accuracy of one episode by every inference: all its views through the learner, once for each labelling."""
    views = source.views([number], objective.transformations)
    with torch.no_grad(), evaluation_mode(learner):
        logits = {
            labelling: learner(labelling(views))
            for labelling in {inference.labelling for inference in objective.inferences.values()}
        }
    return {
        name: float(
            correct_by_class(
                inference.predict(logits[inference.labelling], objective.transformations.m), views.query_labels
            ).double().mean() / source.sampler.spec.n_query
        )
        for name, inference in objective.inferences.items()
    }  # fmt: skip


class OneByOne:
    """Episode after episode; each call takes the next ones, and all accuracies are kept."""

    def __init__(self, learner: EmbeddingLearner, case: Case) -> None:
        self.learner, self.case, self.source = learner, case, case.source
        self.accuracies: dict[int, dict[str, float]] = {}
        self._next = 0

    def __call__(self) -> None:
        """The next episodes; after the last comes the first."""
        for _ in range(self.case.at_once):
            number = self._next % self.case.episodes
            self.accuracies[number] = accuracies_one_by_one(self.learner, self.case.objective, self.source, number)
            self._next += 1


class Learn2LearnLoop:
    """The loop of learn2learn's prototypical-network example: tasks one by one, all images embedded in one pass."""

    def __init__(self, learner: EmbeddingLearner, case: Case) -> None:
        l2l = learn2learn()
        source = case.source
        self.spec, self.episodes, self.backbone = source.sampler.spec, case.at_once, learner.backbone
        normalised = source.normalization(case.images.images)  # beforehand: in the loop nothing is converted
        dataset = learn2learn_dataset(TensorImages(normalised, case.images.labels))
        transforms = l2l.data.transforms
        self.tasks = l2l.data.TaskDataset(
            dataset,
            task_transforms=[
                transforms.NWays(dataset, self.spec.n_way),
                transforms.KShots(dataset, self.spec.images_per_class),
                transforms.LoadData(dataset),
                transforms.RemapLabels(dataset),
                transforms.ConsecutiveLabels(dataset),
            ],
            num_tasks=-1,
        )
        self.classifier = l2l.nn.PrototypicalClassifier()

    def predictions(self, support: Tensor, support_labels: Tensor, query: Tensor) -> Tensor:  # [R]
        """Classes of the queries of one episode of images."""
        with torch.no_grad(), evaluation_mode(self.backbone):
            features = self.backbone(torch.cat([support, query]))
        self.classifier.fit_(features[: len(support)], support_labels)
        return self.classifier(features[len(support) :]).argmax(dim=-1)

    def __call__(self) -> float:
        """Mean accuracy on tasks that learn2learn draws."""
        shots, total = self.spec.k_shot, 0.0
        for _ in range(self.episodes):
            images, labels = (
                field.unflatten(0, (self.spec.n_way, self.spec.images_per_class)) for field in self.tasks.sample()
            )
            found = self.predictions(
                images[:, :shots].flatten(0, 1), labels[:, :shots].flatten(), images[:, shots:].flatten(0, 1)
            )
            total += float((found == labels[:, shots:].flatten()).double().mean())
        return total / self.episodes

    def agreement(self, learner: EmbeddingLearner, source: EpisodeSource, episodes: int) -> float:
        """Share of the queries of our episodes that learn2learn's classifier puts where our head does."""
        same = 0.0
        for number in range(episodes):
            batch = source.batch([number])
            with torch.no_grad(), evaluation_mode(learner):
                ours = learner(batch).argmax(dim=-1)[0]
            theirs = self.predictions(*(field[0] for field in (batch.support, batch.support_labels, batch.query)))
            same += float((ours == theirs).double().mean())
        return same / episodes
