"""What can be asked of each figure."""

from dataclasses import dataclass, field
from typing import Literal

from episodes.errors import UserError
from fewshot_sla.reporting.formats import Format

ROTATIONS = {2: (0, 180), 4: (0, 90, 180, 270)}  # degrees, by how many there are


@dataclass
class DigitPairs:
    """Figure 2.

    Args:
        output: picture to write, .png, .svg or .pdf; its numbers go beside it as .json.
        mnist: file or folder with MNIST; empty for the 8x8 digits that come with scikit-learn.
        rotations: 4 (by 0, 90, 180 and 270 degrees) or 2 (by 0 and 180 degrees).
        seeds: random divisions into training and test images; tables show mean and standard deviation over them.
        per_class: training images of each digit.
        drawn: test images of each digit in a panel of the picture, at most.
        format: of the tables.
    """

    output: str = "runs/figure2.png"
    mnist: str = ""
    rotations: Literal[2, 4] = 4
    seeds: int = 10
    per_class: int = 20
    drawn: int = 100
    format: Format = "terminal"

    def __post_init__(self) -> None:
        """Refuse counts that cannot be counted to."""
        _at_least_one(self, "seeds", "per_class", "drawn")


@dataclass
class SnapshotCurves:
    """Figure 3.

    Args:
        output: picture to write, .png, .svg or .pdf; its numbers go beside it as .json.
        images: of each split, to be quick: so many, drawn at random and the same each time; 0 for all.
        format: of the table.
    """

    output: str = "runs/figure3.png"
    images: int = 0
    format: Format = "terminal"

    def __post_init__(self) -> None:
        """Refuse counts that cannot be counted to."""
        if self.images < 0:
            raise UserError(f"images must not be negative, got {self.images}")


@dataclass
class LimitedData:
    """Figure 4.

    Args:
        output: picture to write, .png, .svg or .pdf; its numbers go beside it as .json.
        split: that all runs were tested on.
        baseline: class of the objective that the others are held against.
        format: of the tables.
    """

    output: str = "runs/figure4.png"
    split: str = "test"
    baseline: str = "Baseline"
    format: Format = "terminal"


@dataclass
class ViewBudgets:
    """Gain by the number of views.

    Args:
        output: picture to write, .png, .svg or .pdf; its numbers go beside it as .json.
        baseline: run folder that the gain is over; by default over the single inference of the same model.
        inference: that has the views; by default the only one that has more than one.
        subsets: of views of each size, at most: all of them where there are not more, else so many at random.
        split: "test", "val" or "train".
        n_way: classes of an episode (meta-learners only, like the next four).
        k_shot: one or more numbers of support images a class; each is a curve of its own.
        n_query: query images of each class.
        episodes: episodes of each test.
        seed: which episodes.
        format: of the table.
    """

    output: str = "runs/figure_views.png"
    baseline: str = ""
    inference: str = ""
    subsets: int = 20
    split: str = "test"
    n_way: int = 5
    k_shot: list[int] = field(default_factory=lambda: [1, 5])
    n_query: int = 15
    episodes: int = 1000
    seed: int = 0
    format: Format = "terminal"

    def __post_init__(self) -> None:
        """Refuse counts that cannot be counted to."""
        _at_least_one(self, "subsets", "episodes")
        if not self.k_shot:
            raise UserError("k_shot needs at least one number")


def _at_least_one(options: object, *names: str) -> None:
    for name in names:
        if getattr(options, name) < 1:
            raise UserError(f"{name} must be at least 1, got {getattr(options, name)}")
