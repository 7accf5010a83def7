"""MAML: all weights are adapted to the support of an episode by a few steps of gradient descent."""

import functools
from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from episodes.episode import EpisodeBatch
from episodes.errors import UserError
from episodes.optional import learn2learn
from fewshot_sla.backbones.base import Backbone
from fewshot_sla.meta.learners.base import MetaLearner


class MAML(MetaLearner):
    """Model-agnostic meta-learning, by learn2learn: for each episode, starting from the learned weights θ::

        θ_0 = θ,   θ_{s+1} = θ_s - adaptation_lr * ∇ cross_entropy(f(support; θ_s), support_labels)
        logits = f(query; θ_S)

    f is the backbone with a linear classifier. Its outputs are numbered as the labels are, so it has as many as an
    episode has ways: N, or N*M with label augmentation, where only the numbers of the views mean the same in every
    episode.

    In training and in evaluation alike, BatchNorm normalises support and query by the statistics of the support, so
    that the logits of a query depend on no other query, and that learning meets what testing will (Bronskill et al.,
    "TaskNorm", ICML 2020, arXiv 2003.03284, who call it MetaBN, and show that MAML fails on running statistics). The
    running statistics are neither used nor moved. Gradients reach the learned weights in training mode only.

    Finn et al., "Model-Agnostic Meta-Learning for Fast Adaptation of Deep Networks", ICML 2017 (arXiv 1703.03400),
    algorithm 2; ``first_order`` is its section 5.2.

    Args:
        backbone: embeds images [B, C, H, W] as features [B, D].
        ways: classes of an episode: N, or N times the number of transformations when trained with label augmentation.
        image_size: height and width of the images in pixels; with the backbone they fix the size of the classifier.
        adaptation_steps: steps of gradient descent on the support, at least 1.
        adaptation_lr: learning rate of these steps, positive.
        first_order: leave the second derivatives out of the gradient: much faster, a little less accurate.

    Raises:
        UserError: if a number is out of range, or learn2learn is not installed.
    """

    def __init__(
        self,
        backbone: Backbone,
        ways: int,
        image_size: tuple[int, int],
        adaptation_steps: int = 5,
        adaptation_lr: float = 0.1,
        first_order: bool = True,
    ) -> None:
        super().__init__()
        for name, value, least in (("ways", ways, 2), ("adaptation_steps", adaptation_steps, 1)):
            if value < least:
                raise UserError(f"MAML {name} must be at least {least}, got {value}")
        if not adaptation_lr > 0:
            raise UserError(f"MAML adaptation_lr must be positive, got {adaptation_lr}")
        learn2learn()  # say now that it is missing, not in the first step
        self.ways = ways
        self.adaptation_steps = adaptation_steps
        self.adaptation_lr = adaptation_lr
        self.first_order = first_order
        height, width = image_size
        classifier = nn.Linear(backbone.out_features(height, width), ways)
        self.network = nn.Sequential(OrderedDict(backbone=backbone, classifier=classifier))

    def forward(
        self,
        episodes: EpisodeBatch,  # support [T, S, C, H, W], query [T, R, C, H, W], normalised floats
    ) -> Tensor:  # [T, R, W] float32 or better; in evaluation mode without a graph
        """Logits of every query for every class.

        Raises:
            UserError: if the episodes have not as many ways as the classifier has outputs.
        """
        if episodes.ways != self.ways:
            raise UserError(
                f"the episodes have {episodes.ways} ways but MAML's classifier has {self.ways} outputs: "
                f"set learner ways to {episodes.ways} (n_way, times the number of transformations with SLA)"
            )
        return torch.stack(
            [
                self._query_logits(support, support_labels, query)
                for support, support_labels, query in zip(
                    episodes.support, episodes.support_labels, episodes.query, strict=True
                )
            ]
        )

    def _query_logits(
        self,
        support: Tensor,  # [S, C, H, W]
        support_labels: Tensor,  # [S] int64
        query: Tensor,  # [R, C, H, W]
    ) -> Tensor:  # [R, W]
        """Adapt to one episode and score its queries."""
        keep_graph = self.training and torch.is_grad_enabled()
        with torch.enable_grad():  # adapting takes gradients whatever the caller does with the result
            adapted = learn2learn().algorithms.MAML(
                self.network,
                lr=self.adaptation_lr,
                first_order=self.first_order or not keep_graph,
                allow_nograd=True,  # frozen weights stay as they are
            )
            adapted = adapted.clone()
            _normalise_by_first(adapted, len(support))
            for _ in range(self.adaptation_steps):
                adapted.adapt(functional.cross_entropy(_at_least_float32(adapted(support)), support_labels))
        with torch.set_grad_enabled(keep_graph):
            logits = adapted(torch.cat([support, query]))[len(support) :]
            return _at_least_float32(logits)


def _normalise_by_first(
    clone: nn.Module,  # modules of its own, as learn2learn's clones have; the original is left as it is
    rows: int,
) -> None:
    """Make every BatchNorm in ``clone`` take its statistics from the first ``rows`` images of what it is given."""
    for module in clone.modules():
        if isinstance(module, _BatchNorm):
            module.forward = functools.partial(_batch_norm, module, rows)  # type: ignore[method-assign]


def _batch_norm(
    module: _BatchNorm,
    rows: int,
    inputs: Tensor,  # [B, C, ...]
) -> Tensor:  # as the inputs
    """BatchNorm by mean and (biased) variance of the first ``rows`` rows; all rows are scaled and shifted by them."""
    if len(inputs) == rows:
        return functional.batch_norm(inputs, None, None, module.weight, module.bias, training=True, eps=module.eps)
    wide = _at_least_float32(inputs)
    variance, mean = torch.var_mean(wide[:rows].transpose(0, 1).flatten(1), dim=1, correction=0)
    scale = (variance + module.eps).rsqrt()
    shift = -mean * scale
    if module.affine:
        scale, shift = scale * module.weight, shift * module.weight + module.bias
    shape = (1, -1, *[1] * (inputs.ndim - 2))
    return torch.addcmul(shift.view(shape), wide, scale.view(shape)).to(inputs.dtype)


def _at_least_float32(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))
