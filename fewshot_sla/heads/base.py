"""The contract of a head: it fits the support features of each episode and scores the queries."""

import copy
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from episodes.errors import UserError
from episodes.targets import Targets
from fewshot_sla.backbones.shape import FeatureShape
from fewshot_sla.heads.calibration import SPREAD, calibrated_scale


class Head(nn.Module, ABC):
    """Maps support features, their labels and query features to logits, for T episodes at once.

    ``head(support [T,S,D], support_labels [T,S], query [T,R,D], ways=W) -> logits [T,R,W]``

    A head of one's own derives from this class and gives :meth:`logits`. It must be pure in its inputs, treat episodes
    independently, score a query without looking at the other queries, and take support rows in any order with any
    number of shots a class. ``python -m fewshot_sla.check_head package.MyHead`` tests all of that.

    Whatever precision the backbone runs in, a head computes in float32 or float64 with autocast off: half-precision
    features are converted to float32 on the way in.

    Shapes and dtypes are checked in every call. The values of labels are checked where they lie on the CPU; on a GPU
    that would make the host wait in each training step, so labels that come from outside are checked once, by
    :func:`check_support_labels`, before they are moved there. Episodes of :mod:`episodes` are right by construction.

    What a head cannot keep of this it says, and why in its docstring; nothing is excused in silence:

    * ``transductive = True``: the logits of a query depend on the other queries of its episode. Results and tables say
      so, ``predict`` asks for leave (``--transductive true``), and nothing is left out one by one.
    * ``exempt = frozenset({"learns"})``: names of checks of ``check_head`` that it need not pass, as those of a learned
      metric that tells nothing apart before it is trained. A check that would pass may not be among them.

    Attributes:
        shape: of the features, once the head was told; None before.
        transductive: whether the logits of a query depend on the other queries.
        exempt: names of the checks that fail, and rightly so.
        takes_mean_features: whether the mean of features, say of several crops of an image, is a feature.
        tried_on: features that ``check_head`` tries it on where none are named; None for vectors of several sizes.
    """

    shape: FeatureShape | None = None
    transductive: bool = False
    exempt: frozenset[str] = frozenset()
    takes_mean_features: bool = True
    tried_on: FeatureShape | None = None

    def told(self, shape: FeatureShape) -> None:
        """Learn what the features will be, from the backbone; so nobody types D.

        Called before weights are loaded, before there is an optimiser, and before the head is moved to a device. Told
        the same again, it does nothing.

        Raises:
            UserError: it was told another shape before, or cannot take such features.
        """
        if self.shape is None:
            self.build(shape)
            self.shape = shape
        elif self.shape != shape:
            raise UserError(
                f"{type(self).__name__} was made for features of shape {self.shape}, the backbone gives {shape}; "
                "make a head for each"
            )

    def build(self, shape: FeatureShape) -> None:
        """Make what depends on the shape of the features: parameters, buffers; nothing, unless overridden.

        Called once, by :meth:`told`. What is drawn at random comes from torch's generator, which the caller seeds.
        """

    def forward(
        self,
        support: Tensor,  # [T, S, D] float
        support_labels: Tensor,  # [T, S] int64, 0..ways-1, every class in every episode
        query: Tensor,  # [T, R, D] float
        ways: int,  # W, classes to tell apart: N, or N*M after label augmentation
    ) -> Tensor:  # [T, R, W] float32 (float64 if the features are)
        """Logits of every query for every class.

        Raises:
            UserError: if the shapes do not fit together, or labels on the CPU are no episode's (see
                :func:`check_support_labels`).
        """
        support, support_labels, query = _accepted(support, support_labels, query, ways)
        with torch.autocast(support.device.type, enabled=False):
            return self.logits(support, support_labels, query, ways)

    def forward_with_loss(
        self,
        support: Tensor,  # [T, S, D] float
        support_labels: Tensor,  # [T, S] int64, 0..ways-1
        query: Tensor,  # [T, R, D] float
        query_targets: Targets,  # [T, R], 0..ways-1
        ways: int,
    ) -> tuple[Tensor, Tensor | None]:  # [T, R, W], and a scalar or None
        """The logits, and what training adds to their loss; None unless :meth:`logits_with_loss` is overridden."""
        support, support_labels, query = _accepted(support, support_labels, query, ways)
        with torch.autocast(support.device.type, enabled=False):
            return self.logits_with_loss(support, support_labels, query, query_targets, ways)

    @abstractmethod
    def logits(self, support: Tensor, support_labels: Tensor, query: Tensor, ways: int) -> Tensor:
        """The head itself; shapes as in :meth:`forward`, already checked; float32 or float64."""

    def logits_with_loss(
        self, support: Tensor, support_labels: Tensor, query: Tensor, query_targets: Targets, ways: int
    ) -> tuple[Tensor, Tensor | None]:
        """The logits and an auxiliary loss: a scalar, the mean over the episodes, weighted already; training adds it.

        Asked in training only, in place of :meth:`logits`, and told what the queries are; shapes as in
        :meth:`forward_with_loss`, already checked. The logits must not depend on the targets. Nothing is kept in the
        head from one call to the next.
        """
        return self.logits(support, support_labels, query, ways), None

    def calibrate(
        self,
        support: Tensor,  # [T, S, D] float
        support_labels: Tensor,  # [T, S] int64, 0..ways-1
        query: Tensor,  # [T, R, D] float
        ways: int,
        spread: float = SPREAD,
    ) -> None:
        """Prepare for training on features such as these, those of an untrained backbone; nothing, unless overridden.

        Called at most once, before the first step of a new training.
        """

    @property
    def needs_base_mean(self) -> bool:
        """Whether the head uses the mean feature of the training images; see :meth:`keep_base_mean`."""
        return False

    def keep_base_mean(
        self,
        mean: Tensor,  # [D] float32
    ) -> None:
        """Told the mean feature of the training images before each validation; nothing, unless overridden.

        What it keeps must be buffers, so that it is saved with the weights.
        """

    def __call__(self, support: Tensor, support_labels: Tensor, query: Tensor, ways: int) -> Tensor:
        """Same as :meth:`forward` (written out so that type checkers know the signature)."""
        return super().__call__(support, support_labels, query, ways)


class ScaledHead(Head):
    """A head whose logits are ``scale * scores``; training on a calibrated start chooses the first scale.

    Derive from it and give :meth:`scores`.

    Args:
        scale: factor of the logits at the start, positive; a calibrated start replaces it.
        learn_scale: whether training changes it.

    Raises:
        UserError: if the scale is not positive (logits would be void or turned around).
    """

    scale: Tensor  # [] float32; a parameter if it is learned, else a buffer

    def __init__(self, scale: float = 1.0, learn_scale: bool = True) -> None:
        super().__init__()
        if not 0 < scale < float("inf"):
            raise UserError(f"{type(self).__name__}: scale must be positive and finite, got {scale}")
        self.learn_scale = learn_scale
        register_number(self, "scale", scale, learn_scale)

    @abstractmethod
    def scores(self, support: Tensor, support_labels: Tensor, query: Tensor, ways: int) -> Tensor:
        """The logits at scale 1; shapes and dtypes as in :meth:`Head.logits`."""

    def logits(self, support: Tensor, support_labels: Tensor, query: Tensor, ways: int) -> Tensor:
        """``scale * scores``."""
        return self.scale * self.scores(support, support_labels, query, ways)

    @torch.no_grad()
    def calibrate(
        self,
        support: Tensor,  # [T, S, D] float
        support_labels: Tensor,  # [T, S] int64, 0..ways-1
        query: Tensor,  # [T, R, D] float
        ways: int,
        spread: float = SPREAD,
    ) -> None:
        """Set ``scale`` so that these queries' logits have this spread, whatever it was.

        Raises:
            UserError: if shapes do not fit together, or the scores are not finite.
            SolverError: if the head cannot be fitted.
        """
        support, support_labels, query = _accepted(support, support_labels, query, ways)
        with torch.autocast(support.device.type, enabled=False):
            # Asked of a copy: BatchNorm in training mode moves its running statistics.
            scores = copy.deepcopy(self).scores(support, support_labels, query, ways)
        self.scale.fill_(calibrated_scale(scores, spread))


def register_number(module: nn.Module, name: str, value: float, learned: bool) -> None:
    """Give a module a number [] float32 under a name: a parameter if it is learned, else a buffer."""
    number = torch.tensor(float(value))
    if learned:
        module.register_parameter(name, nn.Parameter(number))
    else:
        module.register_buffer(name, number)


def one_hot(
    labels: Tensor,  # [T, S] int64, 0..ways-1
    ways: int,
    dtype: torch.dtype,
) -> Tensor:  # [T, S, ways]
    """Indicator of each row's class."""
    return nn.functional.one_hot(labels, ways).to(dtype)


def check_support_labels(
    labels: Tensor,  # [T, S] integers
    ways: int,
) -> None:
    """Raise UserError unless all labels are 0..ways-1 and every class of every episode has a row.

    Call it on labels from outside before they go to a GPU; on a GPU it waits for the result.
    """
    low, high = (int(value) for value in torch.aminmax(labels))
    if low < 0 or high >= ways:
        raise UserError(f"support_labels must be 0..{ways - 1} (ways={ways}), they reach from {low} to {high}")
    present = torch.zeros(labels.shape[0], ways, dtype=torch.bool, device=labels.device)
    present.scatter_(1, labels.long(), True)
    if not bool(present.all()):
        episode, label = (int(value) for value in (~present).nonzero()[0])
        raise UserError(f"episode {episode} has no support row of class {label} (ways={ways})")


def _accepted(
    support: Tensor, support_labels: Tensor, query: Tensor, ways: int
) -> tuple[Tensor, Tensor, Tensor]:  # the same, features in float32 or better, labels in int64
    """What a head computes on; UserError if it does not fit together."""
    _check_shapes(support, support_labels, query)
    if support_labels.device.type == "cpu":
        check_support_labels(support_labels, ways)
    dtype = torch.promote_types(torch.promote_types(support.dtype, query.dtype), torch.float32)
    return support.to(dtype), support_labels.long(), query.to(dtype)


def _check_shapes(support: Tensor, support_labels: Tensor, query: Tensor) -> None:
    """Raise UserError unless shapes and dtypes fit together; looks at no value."""
    if support.ndim != 3 or query.ndim != 3 or support_labels.shape != support.shape[:2]:
        raise UserError(
            "a head takes support [T, S, D], support_labels [T, S] and query [T, R, D], "
            f"not {list(support.shape)}, {list(support_labels.shape)} and {list(query.shape)}"
        )
    if query.shape[0] != support.shape[0] or query.shape[2] != support.shape[2]:
        raise UserError(
            f"support {list(support.shape)} and query {list(query.shape)} differ in episodes (first axis) "
            "or features (last axis)"
        )
    if support_labels.dtype.is_floating_point or support_labels.dtype == torch.bool:
        raise UserError(f"support_labels must be integers, they are {support_labels.dtype}")
    if support_labels.numel() == 0:
        raise UserError("an episode needs support rows, got none")
