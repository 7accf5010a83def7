"""RelationNet: a small network that is shown the map of a class and that of a query, and says how related they are."""

from torch import Tensor, nn
from torch.nn import functional

from episodes.errors import UserError
from fewshot_sla.backbones.shape import FeatureShape
from fewshot_sla.heads.maps import MapHead
from fewshot_sla.heads.protonet import class_means

_WIDE = 10  # maps of this height and width and more go through convolutions without padding, as in the paper


class RelationModule(nn.Module):
    """The relation g of a class's map a and a query's map b, for all pairs of an episode::

        g(a, b) = linear(relu(linear(flatten(block2(block1([a, b]))))))

    A block is a 3x3 convolution, BatchNorm, ReLU and 2x2 max-pooling (of a side that is at least 2). The convolution of
    two maps that lie on top of one another is the sum of two convolutions; so the first one is computed once for each
    class and each query, and not for each pair.

    Args:
        shape: of the maps.
        hidden: units between the two linear layers.
    """

    def __init__(self, shape: FeatureShape, hidden: int) -> None:
        super().__init__()
        channels, height, width = shape
        self.padding = 0 if min(height, width) >= _WIDE else 1
        self.of_class, self.of_query, self.second = (
            nn.Conv2d(channels, channels, 3, padding=self.padding, bias=False) for _ in range(3)
        )
        self.norms = nn.ModuleList([nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)])
        for _ in self.norms:
            height, width = (_pooled(side - 2 + 2 * self.padding) for side in (height, width))
        self.layers = nn.Sequential(
            nn.Linear(channels * height * width, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, 1, bias=False)
        )
        self.apply(_initialise)

    def forward(
        self,
        classes: Tensor,  # [T, W, C, h, w]
        query: Tensor,  # [T, R, C, h, w]
    ) -> Tensor:  # [T, R, W]
        """Relations of all pairs, not squashed."""
        ours, theirs = _each(self.of_class, classes)[:, None], _each(self.of_query, query)[:, :, None]
        pairs = ours + theirs  # [T, R, W, C, h', w']
        maps = self._block(0, pairs.flatten(0, 2))
        maps = self._block(1, self.second(maps))
        return self.layers(maps.flatten(1)).view(pairs.shape[:3])

    def _block(self, number: int, maps: Tensor) -> Tensor:
        # The maximum commutes with the increasing ReLU.
        sides = [2 if side > 1 else 1 for side in maps.shape[-2:]]
        return functional.relu(functional.max_pool2d(self.norms[number](maps), sides), inplace=True)


class RelationHead(MapHead):
    """RelationNet: logits are learned relations of the mean map of a class and the map of a query.

    Departures from the paper, which squashes relations to 0..1 and fits them to one-hot labels by squared error: here
    they are logits, for cross-entropy (with label augmentation one class in 20 is right, and squares would mostly fit
    zeros; and SLA averages logits). Maps of a class are averaged over its shots, not added up, so they mean the same
    for any number of shots. BatchNorm keeps running statistics, so that in tests no query sways another.

    It is exempt from being accurate before it is trained: a relation that was drawn at random knows nothing.

    Sung et al. 2018 (arXiv 1711.06025), section 3.4; cross-entropy as in Chen et al. 2019 (arXiv 1904.04232).

    Args:
        hidden: units between the last two layers.
        scale: factor of the logits at the start; a calibrated start replaces it.
        learn_scale: whether training changes it; the last layer can do as much.

    Raises:
        UserError: if a number is out of range.
    """

    exempt = frozenset({"learns", "many ways"})

    def __init__(self, hidden: int = 8, scale: float = 1.0, learn_scale: bool = False) -> None:
        super().__init__(scale, learn_scale)
        if hidden < 1:
            raise UserError(f"RelationHead: hidden must be at least 1, got {hidden}")
        self.hidden = hidden

    def build(self, shape: FeatureShape) -> None:
        """Make the relation module."""
        super().build(shape)
        self.relation = RelationModule(shape, self.hidden)

    def map_scores(self, support: Tensor, support_labels: Tensor, query: Tensor, ways: int) -> Tensor:
        """:class:`RelationModule` of the mean maps and the queries."""
        means = class_means(support.flatten(2), support_labels, ways).unflatten(-1, support.shape[2:])
        return self.relation(means, query)


def _each(layer: nn.Module, maps: Tensor) -> Tensor:
    """A layer for maps with two leading axes."""
    return layer(maps.flatten(0, 1)).unflatten(0, maps.shape[:2])


def _pooled(side: int) -> int:
    return max(1, side // 2)


def _initialise(module: nn.Module) -> None:
    # As the authors' program: variance 2 / (9 * outputs); linear layers N(0, 0.01) with bias 1.
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.01)
        if module.bias is not None:  # that of the last layer would be the same for all classes
            nn.init.ones_(module.bias)
