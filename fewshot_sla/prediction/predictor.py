"""A model that has been shown a support set: it predicts the classes of other pictures."""

import sys
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from episodes.errors import UserError
from episodes.progress import OnProgress, no_progress
from fewshot_sla.prediction.feature_cache import FeatureCache
from fewshot_sla.prediction.leave_one_out import MOST, LeftOut, leave_one_out
from fewshot_sla.prediction.model import PredictionModel
from fewshot_sla.prediction.pictures import Format, Framing, exchange, is_negative
from fewshot_sla.prediction.report import BrokenFile
from fewshot_sla.prediction.scores import probabilities, score

_BUDGET = 2**28  # bytes that the items and logits of the queries of one pass may take

_INVERTED = (
    "light and dark were exchanged in all pictures, for the model was trained on the opposite; "
    "--invert no leaves them as they are"
)

Invert = Literal["auto", "yes", "no"]


class PredictorOutput(NamedTuple):
    """Of R pictures.

    Attributes:
        probabilities: [R, N] float64, rows sum to 1.
        agreeing: [R] int64, how many views alone vote for the most probable class.
        views: how many views were asked.
    """

    probabilities: NDArray[np.float64]
    agreeing: NDArray[np.int64]
    views: int


@dataclass(frozen=True)
class Predictor:
    """A model and a support set, embedded.

    Attributes:
        model: what predicts.
        inference_name: how: "aggregated", "single" or what else the model's objective has.
        classes: the N classes: names, or whatever labels are.
        names: what each support picture is called.
        pictures: [S, C, H, W] uint8, the support as the model sees it.
        labels: [S] int64, number of each picture's class.
        items: [S, M, *item] features or normalised views of the support, on the model's device.
        framing: how pictures are fitted into the model's size.
        inverted: whether light and dark are exchanged in every picture.
        transductive: whether the answer to a picture may depend on the others that are asked with it.
        broken: support files that could not be read.
        notes: one-line remarks on the support.
    """

    model: PredictionModel
    inference_name: str
    classes: tuple[Any, ...]
    names: tuple[str, ...]
    pictures: Tensor
    labels: Tensor
    items: Tensor
    framing: Framing = "crop"
    inverted: bool = False
    transductive: bool = False
    broken: tuple[BrokenFile, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def format(self) -> Format:
        """What pictures are made into."""
        return self.model.format(self.framing)

    def predict(
        self,
        pictures: NDArray[np.uint8],  # [R, C, H, W], in the polarity that the model sees: see `inverted`
        on_progress: OnProgress = no_progress,
    ) -> PredictorOutput:
        """Probabilities of all classes; no picture sways the prediction of another, unless transduction is allowed.

        Raises:
            UserError: if the model cannot take the episode, or is transductive and that is not allowed.
        """
        check_transduction(self.model, allowed=self.transductive)
        _, inference = self.model.inference(self.inference_name)
        shares, agreeing, views, done = [], [], 1, 0

        def report(_: str, now: int, of_block: int) -> None:
            on_progress("queries", done + now, len(pictures))

        for block in np.split(pictures, range(self.at_once, len(pictures), self.at_once)):
            items = self.model.items(torch.from_numpy(block), report)
            scores = score(
                self.model.learner,
                inference,
                self.items[None],
                self.labels[None].to(self.items.device),
                items[None],
                len(self.classes),
            )
            logits, votes = scores.logits[0], scores.votes[0]
            shares.append(probabilities(logits))
            agreeing.append((votes == logits.argmax(dim=-1, keepdim=True)).sum(dim=-1))
            views, done = votes.shape[-1], done + len(block)
        return PredictorOutput(torch.cat(shares).numpy(), torch.cat(agreeing).numpy(), views)

    @property
    def at_once(self) -> int:
        """How many queries are scored in one pass; all, if they are answered together."""
        if self.model.learner.transductive:
            return sys.maxsize
        m, ways = self.items.shape[1], len(self.classes)
        return max(1, _BUDGET // (self.items[0].numel() * 4 + m * m * ways * 8))

    def leave_one_out(self, most: int = MOST, on_progress: OnProgress = no_progress) -> LeftOut:
        """See :func:`fewshot_sla.prediction.leave_one_out.leave_one_out`."""
        _, inference = self.model.inference(self.inference_name)
        labels = self.labels.to(self.items.device)
        return leave_one_out(self.model.learner, inference, self.items, labels, len(self.classes), most, on_progress)

    def to(self, device: torch.device) -> "Predictor":
        """The same on another device; the model is moved in place."""
        return replace(self, model=self.model.to(device), items=self.items.to(device))


def check_transduction(model: PredictionModel, *, allowed: bool) -> None:
    """Raise UserError if a model answers queries together, and that is not allowed."""
    if model.learner.transductive and not allowed:
        raise UserError(
            f"{model.name}: the model is transductive: the answer to a picture depends on those asked with it; "
            "allow that with --transductive true (in Python, transductive=True)"
        )


def fit(
    model: PredictionModel,
    pictures: NDArray[np.uint8],  # [S, C, H, W]; inverted in place, if they are to be
    labels: NDArray[np.int64],  # [S], 0..N-1
    classes: tuple[Any, ...],
    *,
    names: tuple[str, ...] = (),
    inference: str = "",
    framing: Framing = "crop",
    invert: Invert = "auto",
    transductive: bool = False,
    cache: FeatureCache | None = None,
) -> Predictor:
    """Show a model its support set; nothing is trained.

    Args:
        model: what is to predict.
        pictures: the support, as the model takes it.
        labels: number of each picture's class.
        classes: the N classes, by these numbers.
        names: what each picture is called.
        inference: how to predict; "" for the inference that the model was chosen by.
        framing: how the pictures were fitted into the model's size.
        invert: whether to exchange light and dark; "auto" decides by the border of the support pictures.
        transductive: allow that pictures that are asked together sway one another, if the model is of that kind.
        cache: where features are kept from one time to the next.

    Raises:
        UserError: if there are fewer than two classes, one has no picture, or there is no such inference; or the model
            is transductive, and that is not allowed.
    """
    check_transduction(model, allowed=transductive)
    if invert not in get_args(Invert):
        raise UserError(f"invert must be one of {', '.join(get_args(Invert))}, got {invert!r}")
    if len(classes) < 2:
        raise UserError(f"there is only one class ({classes[0]!r}): at least two are needed to tell apart")
    missing = set(range(len(classes))) - set(labels.tolist())
    if missing:
        raise UserError(f"the class {classes[min(missing)]!r} has no picture")
    name, _ = model.inference(inference)
    is_other = invert == "auto" and is_negative(pictures, model.normalization.mean)
    inverted = is_other or invert == "yes"
    if inverted:
        exchange(pictures)
    support = torch.from_numpy(pictures)
    return Predictor(
        model,
        name,
        classes,
        names or tuple(f"picture {number}" for number in range(len(labels))),
        support,
        torch.from_numpy(labels),
        model.items(support) if cache is None else cache.items(model, support),
        framing,
        inverted,
        transductive,
        notes=(_INVERTED,) if is_other else (),
    )
