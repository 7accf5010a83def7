"""Many episodes through a meta-learner: what comes of each by every inference, in rounds that fit into memory."""

from collections.abc import Callable, Iterable, Mapping, Sequence
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
from episodes.unknown import UnknownQueries
from fewshot_sla.inference import Inference, with_inferences
from fewshot_sla.meta.features import embed_together
from fewshot_sla.meta.learners.base import MetaLearner
from fewshot_sla.meta.objectives import EpisodeObjective
from fewshot_sla.meta.rounds import Round, feature_rounds, image_rounds
from fewshot_sla.meta.team import ALONE, EvaluationTeam, in_turn
from fewshot_sla.training.modes import Autocast, evaluation_mode


class Selection(NamedTuple):
    """Episodes to predict."""

    source: EpisodeSource
    numbers: Sequence[int] | range  # of its episodes
    unknown: UnknownQueries | None = None  # of this source: to be asked in these episodes, too

    @property
    def known(self) -> int:
        """N*Q, queries of an episode of its own classes; unknown ones stand behind them."""
        return self.source.sampler.spec.n_way * self.source.sampler.spec.n_query

    def draw(self) -> EpisodeIndices:
        """The episodes, with the unknown queries if there are any."""
        episodes = self.source.sampler.draw(self.numbers)
        return self.unknown.added_to(episodes, self.numbers) if self.unknown else episodes


Kept = dict[str, Tensor]  # each [T, ...]: what is kept of T episodes, by name
# (inference, class logits of each view [T, R, V, N], labels [T, R], how many of the R are known) -> what to keep
Keep = Callable[[Inference, Tensor, Tensor, int], Kept]


def kept_of_all(
    learner: MetaLearner,
    objective: EpisodeObjective,
    asked: Sequence[Selection],
    keep: Keep,
    *,
    crops: Crops = as_is,
    autocast: Autocast = nullcontext,
    on_progress: OnProgress = no_progress,
    team: EvaluationTeam = ALONE,
) -> list[tuple[EpisodeIndices, dict[str, Kept]]]:  # of each selection: its episodes, and what is kept by inference
    """What is kept of several kinds of episodes (other shots, other samplers) of the same images, on the CPU.

    The learner is in evaluation mode meanwhile, so no query sees another. If its items are features, they are computed
    once for every view of every image that occurs, whatever is asked; any other learner is given the images of each
    episode. Of a selection without episodes nothing is kept.

    Args:
        learner: on the device of the images.
        objective: says how to infer, and with which transformations.
        asked: which episodes, of sources with the same images and normalisation.
        keep: told each inference of each pass, what its views say and the right labels, of unknown queries OUTSIDE.
        crops: of each image, whose mean feature stands for it (see :func:`~fewshot_sla.meta.features.embed_views`).
        autocast: context in which the learner runs (mixed precision), made anew for each pass.
        on_progress: called after every pass with what is being done, how many are done, and how many there are.
        team: the processes that share the work; each is given all that is kept.

    Raises:
        UserError: if there are crops, and the learner has no features to average.
        ValueError: if the sources differ in their images or their normalisation.
    """
    source = _common_source(asked)
    if crops is not as_is:
        check_crops(learner)
    drawn = [selection.draw() for selection in asked]
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

    run = partial(_through, learner, objective, keep=keep, autocast=autocast, progress=progress)
    found: list[dict[str, list[Kept]]] = [{name: [] for name in objective.inferences} for _ in drawn]
    with evaluation_mode(learner):
        for current in rounds:
            for selection, indices, into in zip(asked, current.episodes, found, strict=True):
                if len(indices.support):  # some of this kind are left
                    run_these = partial(run, known=selection.known)
                    for name, kept in _shared(team, source, current, indices, run_these).items():
                        into[name].append(kept)
    return [
        (indices, {name: _stacked(parts) for name, parts in into.items()})
        for indices, into in zip(drawn, found, strict=True)
    ]


class Predicted(NamedTuple):
    """E episodes and what was predicted in them."""

    indices: EpisodeIndices  # in the order of the numbers asked for
    labels: dict[str, Tensor]  # each [E, R] int64, 0..N-1, by the name of the inference


def predict_episodes(
    learner: MetaLearner,
    objective: EpisodeObjective,
    source: EpisodeSource,
    numbers: Sequence[int] | range,  # of E episodes, at least one
    *,
    autocast: Autocast = nullcontext,
    on_progress: OnProgress = no_progress,
) -> Predicted:
    """The label that every inference of the objective gives each query; see :func:`kept_of_all`."""
    asked = [Selection(source, numbers)]
    ((indices, found),) = kept_of_all(learner, objective, asked, _labels, autocast=autocast, on_progress=on_progress)
    return Predicted(indices, {name: kept["labels"] for name, kept in found.items()})


def predict_episode(
    learner: MetaLearner,
    objective: EpisodeObjective,
    source: EpisodeSource,
    number: int,
    autocast: Autocast = nullcontext,
) -> tuple[EpisodeIndices, Tensor]:  # the episode, and the labels [N*Q] predicted for its queries
    """One episode with its predictions by the objective's primary inference."""
    by_primary = with_inferences(objective, {objective.primary: objective.inferences[objective.primary]})
    indices, labels = predict_episodes(learner, by_primary, source, [number], autocast=autocast)
    return indices, labels[objective.primary][0]


def check_crops(learner: MetaLearner) -> None:
    """Raise UserError if a learner has no features that could be averaged over crops."""
    if not learner.has_features:
        raise UserError(
            f"crops of an image are averaged as its features, and {type(learner).__name__} has none; test without crops"
        )
    if not learner.takes_mean_items:
        what = type(getattr(learner, "head", learner)).__name__
        raise UserError(
            f"crops of an image are averaged as its features, and {what} takes feature maps, whose places would be "
            "mixed; test without crops"
        )


def _labels(inference: Inference, by_view: Tensor, labels: Tensor, known: int) -> Kept:
    return {"labels": inference.combine(by_view).argmax(dim=-1)}


def _shared(
    team: EvaluationTeam,
    source: EpisodeSource,
    current: Round,
    indices: EpisodeIndices,  # of the round, at least one episode
    run: Callable[[Iterable[EpisodeBatch]], dict[str, Kept]],
) -> dict[str, Kept]:  # of all these episodes
    """Every process runs every ``size``-th of the episodes."""
    own = EpisodeIndices(*(field[team.rank :: team.size] for field in indices))
    count = len(own.support)
    some = own if count else indices.part(0, 1)  # of no episode, the shape of what is kept would not be known
    found = run(source.gather(part, current.items) for part in current.passes(some))
    return {
        name: {what: in_turn(team, rows[:count], len(indices.support)) for what, rows in kept.items()}
        for name, kept in found.items()
    }


def _through(
    learner: MetaLearner,
    objective: EpisodeObjective,
    batches: Iterable[EpisodeBatch],  # items [T, S, M, *item]; at least one
    *,
    keep: Keep,
    autocast: Autocast,
    progress: Callable[[int], None],  # told how many episodes were done
    known: int,
) -> dict[str, Kept]:
    """What is kept of these episodes, by the name of the inference."""
    found: dict[str, list[Kept]] = {name: [] for name in objective.inferences}
    for views in batches:
        logits = {labelling: _logits(learner, labelling(views), autocast) for labelling in _labellings(objective)}
        for name, inference in objective.inferences.items():
            by_view = inference.by_view(logits[inference.labelling], objective.transformations.m)
            kept = keep(inference, by_view, views.query_labels, known)
            found[name].append({what: rows.cpu() for what, rows in kept.items()})
        progress(len(views.support))
    return {name: _stacked(parts) for name, parts in found.items()}


def _stacked(parts: Sequence[Mapping[str, Tensor]]) -> Kept:
    """All parts as one; there may be none."""
    return {what: torch.cat([part[what] for part in parts]) for what in (parts[0] if parts else ())}


def _labellings(objective: EpisodeObjective) -> list[Labelling]:
    """The different labellings that the inferences use: each needs its own pass through the head."""
    return list(dict.fromkeys(inference.labelling for inference in objective.inferences.values()))


def _common_source(asked: Sequence[Selection]) -> EpisodeSource:
    """The first of the sources; all of them have its images and its normalisation."""
    source = asked[0].source
    for other in (selection.source for selection in asked):
        if other.images is not source.images or other.normalization is not source.normalization:
            raise ValueError("episodes of different images, or normalised otherwise, cannot share features")
    return source


def _logits(learner: MetaLearner, episodes: EpisodeBatch, autocast: Autocast) -> Tensor:
    """Logits of episodes of the learner's items."""
    with autocast():  # gradients stay on: a learner may adapt to the support by descending them
        return learner.logits(episodes).detach()
