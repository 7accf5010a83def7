"""What a study is to train: recipes times seeds, and the folder of every run."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from episodes.errors import UserError
from fewshot_sla.cli.recipes import recipe_name
from fewshot_sla.runs.folder import RunFolder

# What each training of a study has its own of, and where it comes from.
_OWN = {"--seed": "give --seeds", "--run_folder": "give --folder, runs lie at FOLDER/RECIPE/seedS"}


@dataclass(frozen=True)
class Cell:
    """One training of a study, and its test.

    Attributes:
        name: of the recipe.
        seed: of the training.
        folder: where its files go.
        arguments: all that the training is told, folder and seed included.
    """

    name: str
    seed: int
    folder: RunFolder = field(compare=False)  # the arguments name it
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name}, seed {self.seed}"


@dataclass(frozen=True)
class StudyPlan:
    """Recipes of one kind of training, each trained with the same seeds.

    Attributes:
        trainings: by the name of a recipe (:func:`trainings_of`): what its training is told.
        seeds: each recipe is trained once with each.
        folder: runs go to FOLDER/NAME/seedS.
        split: that they are tested on.
    """

    trainings: dict[str, tuple[str, ...]]
    seeds: tuple[int, ...]
    folder: Path
    split: str = "test"

    def __post_init__(self) -> None:
        """Refuse a study of nothing."""
        if not self.trainings:
            raise UserError("a study needs at least one recipe")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise UserError(f"seeds must be at least one number, each once, got {list(self.seeds)}")

    def cells(self) -> list[Cell]:
        """All trainings; those of the first seed come first, so that a study that is not finished can be compared."""
        return [self.cell(name, seed) for seed in self.seeds for name in self.trainings]

    def cell(self, name: str, seed: int) -> Cell:
        """The training of one recipe with one seed."""
        folder = RunFolder(self.folder / name / f"seed{seed}")
        own = (f"--seed={seed}", f"--run_folder={folder.path}")
        return Cell(name, seed, folder, (*self.trainings[name], *own))


def trainings_of(words: Sequence[str], options: Sequence[str] = ()) -> dict[str, tuple[str, ...]]:
    """What the trainings of some recipes are told, by the whole name of each recipe, its base included.

    >>> trainings_of(["cifarfs+protonet+sla"], ["--loop.steps=600"])
    {'cifarfs_protonet_sla': ('--recipe', 'cifarfs+protonet+sla', '--loop.steps=600')}

    Args:
        words: of the recipes, as ``--recipe`` takes them.
        options: told to every training.

    Raises:
        UserError: if two have the same name, or an option is one that each training has its own of.
    """
    for option in options:
        if (key := option.partition("=")[0]) in _OWN:
            raise UserError(f"{key} cannot be told to every training: {_OWN[key]}")
    names = [recipe_name(word, with_base=True) for word in words]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"two recipes have the same name: {', '.join(twice)}; rename one")
    return {name: ("--recipe", word, *options) for name, word in zip(names, words, strict=True)}


def shown_names(words: Sequence[str]) -> dict[str, str]:
    """How recipes are shown, by their whole names: without the base that all have in common.

    >>> shown_names(["digits+da", "digits+sla"])
    {'digits_da': 'da', 'digits_sla': 'sla'}
    >>> shown_names(["digits", "digits+sla"])
    {'digits': 'digits', 'digits_sla': 'sla'}
    """
    common = len({word.split("+")[0] for word in words}) == 1
    return {recipe_name(word, with_base=True): recipe_name(word, with_base=not common) for word in words}
