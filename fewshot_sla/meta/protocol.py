"""The evaluation protocol: the accuracy of a meta-learner on many episodes, by every inference of its objective."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from episodes.episode import EpisodeBatch
from episodes.errors import UserError
from episodes.images.crops import Crops, as_is
from episodes.labelling import Labelling
from episodes.progress import OnProgress, no_progress
from episodes.sampler import EpisodeIndices
from episodes.source import EpisodeSource
from fewshot_sla.meta.features import embed_together
from fewshot_sla.meta.learners.base import MetaLearner
from fewshot_sla.meta.objectives import EpisodeObjective
from fewshot_sla.meta.rounds import feature_rounds, image_rounds
from fewshot_sla.meta.team import ALONE, EvaluationTeam, in_turn
from fewshot_sla.training.modes import Autocast, evaluation_mode


class EpisodeOutcomes(NamedTuple):
    """What came of E episodes."""

    correct: Tensor  # [E, N] int64, right answers for each class of the episode, 0..Q
    classes: Tensor  # [E, N] int64, which class of the data set it is
    n_query: int

    @property
    def accuracies(self) -> Tensor:
        """[E] float64, share of right answers in each episode."""
        return self.correct.double().mean(dim=1) / self.n_query


class Selection(NamedTuple):
    """Episodes to evaluate on."""

    source: EpisodeSource
    numbers: Sequence[int] | range  # of its episodes


def evaluate(
    learner: MetaLearner,
    objective: EpisodeObjective,
    source: EpisodeSource,
    numbers: Sequence[int] | range,
    *,
    autocast: Autocast = nullcontext,
    on_progress: OnProgress = no_progress,
) -> dict[str, EpisodeOutcomes]:
    """Outcomes of the episodes with these numbers, by the name of the inference; see :func:`evaluate_all`."""
    asked = [Selection(source, numbers)]
    (outcomes,) = evaluate_all(learner, objective, asked, autocast=autocast, on_progress=on_progress)
    return outcomes


def evaluate_all(
    learner: MetaLearner,
    objective: EpisodeObjective,
    asked: Sequence[Selection],
    *,
    crops: Crops = as_is,
    autocast: Autocast = nullcontext,
    on_progress: OnProgress = no_progress,
    team: EvaluationTeam = ALONE,
) -> list[dict[str, EpisodeOutcomes]]:  # of each selection: outcomes by the name of the inference
    """Outcomes of several kinds of episodes (other shots, other samplers) of the same images.

    The learner is in evaluation mode meanwhile, so no query sees another. If its items are features, they are computed
    once for every view of every image that occurs, whatever is asked; any other learner is given the images of each
    episode.

    Args:
        learner: on the device of the images.
        objective: says how to infer, and with which transformations.
        asked: which episodes, of sources with the same images and normalisation.
        crops: of each image, whose mean feature stands for it (see :func:`~fewshot_sla.meta.features.embed_views`).
        autocast: context in which the learner runs (mixed precision), made anew for each pass.
        on_progress: called after every pass with what is being done, how many are done, and how many there are.
        team: the processes that share the work; each is given all outcomes.

    Raises:
        UserError: if there are crops, and the learner has no features to average.
        ValueError: if the sources differ in their images or their normalisation.
    """
    source = _common_source(asked)
    if crops is not as_is:
        check_crops(learner)
    drawn = [selection.source.sampler.draw(selection.numbers) for selection in asked]
    embed = partial(
        embed_together, team, learner, source, objective.transformations, autocast, crops=crops, on_progress=on_progress
    )
    rounds = (
        feature_rounds(source, drawn, embed)
        if learner.has_features
        else image_rounds(source, drawn, objective.transformations)
    )
    total = sum(len(indices.support) for indices in drawn)
    done = 0

    def progress(episodes: int) -> None:
        nonlocal done
        done += episodes * team.size  # the others are about as far
        on_progress("episodes", min(done, total), total)

    correct: list[dict[str, list[Tensor]]] = [{name: [] for name in objective.inferences} for _ in drawn]
    with evaluation_mode(learner):
        for current in rounds:
            for indices, into in zip(current.episodes, correct, strict=True):
                own = EpisodeIndices(*(field[team.rank :: team.size] for field in indices))
                batches = (source.gather(part, current.items) for part in current.passes(own))
                found = _right_answers(learner, objective, batches, autocast, progress)
                for name, rows in found.items():
                    into[name].append(in_turn(team, _stacked(rows, indices), len(indices.support)))
    return [
        {
            name: EpisodeOutcomes(_stacked(rows, indices), indices.classes, indices.n_query)
            for name, rows in into.items()
        }
        for indices, into in zip(drawn, correct, strict=True)
    ]


def check_crops(learner: MetaLearner) -> None:
    """Raise UserError if a learner has no features, which are what crops are averaged as."""
    if not learner.has_features:
        raise UserError(
            f"crops of an image are averaged as its features, and {type(learner).__name__} has none; test without crops"
        )


def predict_episode(
    learner: MetaLearner,
    objective: EpisodeObjective,
    source: EpisodeSource,
    number: int,
    autocast: Autocast = nullcontext,
) -> tuple[EpisodeIndices, Tensor]:  # the episode, and the labels [N*Q] predicted for its queries
    """One episode with its predictions by the objective's primary inference."""
    inference = objective.inferences[objective.primary]
    views = source.views([number], objective.transformations)
    with evaluation_mode(learner), autocast():
        logits = learner(inference.labelling(views)).detach()
    prediction = inference.predict(logits, objective.transformations.m)
    return source.sampler[number], prediction[0].argmax(dim=-1).cpu()


def correct_by_class(
    logits: Tensor,  # [T, R, N] float
    labels: Tensor,  # [T, R] int64, 0..N-1
) -> Tensor:  # [T, N] int64
    """How many queries of each class were given their own class."""
    right = (logits.argmax(dim=-1) == labels).long()
    return torch.zeros(logits.shape[0], logits.shape[2], dtype=torch.int64, device=logits.device).scatter_add_(
        1, labels, right
    )


def _labellings(objective: EpisodeObjective) -> list[Labelling]:
    """The different labellings that the inferences use: each needs its own pass through the head."""
    return list(dict.fromkeys(inference.labelling for inference in objective.inferences.values()))


def _right_answers(
    learner: MetaLearner,
    objective: EpisodeObjective,
    batches: Iterable[EpisodeBatch],  # items [T, S, M, *item]
    autocast: Autocast,
    progress: Callable[[int], None],  # told how many episodes were done
) -> dict[str, list[Tensor]]:  # of each batch [T, N] on the CPU, by the name of the inference
    """Right answers of each class in each episode."""
    correct: dict[str, list[Tensor]] = {name: [] for name in objective.inferences}
    for views in batches:
        logits = {labelling: _logits(learner, labelling(views), autocast) for labelling in _labellings(objective)}
        for name, inference in objective.inferences.items():
            prediction = inference.predict(logits[inference.labelling], objective.transformations.m)
            correct[name].append(correct_by_class(prediction, views.query_labels).cpu())
        progress(len(views.support))
    return correct


def _stacked(
    parts: Sequence[Tensor],  # each [T, N]
    indices: EpisodeIndices,  # of as many ways
) -> Tensor:  # [E, N] int64
    """All parts as one; there may be none."""
    return torch.cat([indices.classes.new_zeros(0, indices.classes.shape[1]), *parts])


def _common_source(asked: Sequence[Selection]) -> EpisodeSource:
    """The first of the sources; all of them have its images and its normalisation."""
    source = asked[0].source
    for other, _ in asked:
        if other.images is not source.images or other.normalization is not source.normalization:
            raise ValueError("episodes of different images, or normalised otherwise, cannot share features")
    return source


def _logits(learner: MetaLearner, episodes: EpisodeBatch, autocast: Autocast) -> Tensor:
    """Logits of episodes of the learner's items."""
    with autocast():  # gradients stay on: a learner may adapt to the support by descending them
        return learner.logits(episodes).detach()
