"""One kind of training as one object: its recipe, its task, its model, how it is reported and tested.

Each wing has one. Doors, resuming and studies know nothing else of a wing.
"""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from torch import nn

from episodes.progress import OnProgress
from fewshot_sla.cli.configuration import ComposingParser, build_parser
from fewshot_sla.cli.recipes import Wing
from fewshot_sla.reporting.overview.parts import Looking, RunParts
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.results import Result, ResultsDocument
from fewshot_sla.training.recipe import Hardware, add_run_options

if TYPE_CHECKING:  # these take seconds to import, and --help does not need them
    from fewshot_sla.runs.comparison import Outcomes
    from fewshot_sla.training.task import TrainingTask
    from fewshot_sla.training.train import Training

R = TypeVar("R")  # its recipe
M = TypeVar("M", bound=nn.Module)  # its model


class Kind(ABC, Generic[R, M]):
    """A kind of training.

    Attributes:
        wing: which folder of configurations it has.
        program: the door that trains, for instance "meta_train".
        tester: the door that tests.
        description: shown by --help.
        recipe: dataclass of the recipe.
        defaults: what the recipe is where nothing else is said, as plain containers.
        advice: what to do where a run of another kind was given; may be empty.
    """

    wing: ClassVar[Wing]
    program: ClassVar[str]
    tester: ClassVar[str]
    description: ClassVar[str]
    recipe: ClassVar[type]
    defaults: ClassVar[dict[str, Any]]
    advice: ClassVar[str] = ""

    def parser(self) -> ComposingParser:
        """The command line of the door that trains, and the schema of ``config.yaml`` in its run folders."""
        parser = build_parser(
            f"python -m fewshot_sla.{self.program}",
            self.description,
            self.recipe,
            Hardware,
            defaults=self.defaults,
            wing=self.wing,
        )
        add_run_options(parser, f"runs/{self.program}")
        return parser

    @abstractmethod
    def task(self, recipe: R) -> "TrainingTask":
        """One training by a recipe: images loaded, model built, nothing written.

        Raises:
            UserError: if the images cannot be loaded, or do not fit the recipe.
        """

    @abstractmethod
    def model(
        self,
        recipe: R,
        state: dict[str, Any],  # what a checkpoint says about the model
    ) -> M:
        """The model of a trained run, its weights not loaded yet."""

    @abstractmethod
    def report(self, training: "Training", folder: RunFolder, configuration: dict[str, Any]) -> None:
        """Write the results of the validation and the pictures of a finished training, and print a table."""

    @abstractmethod
    def test(self, folder: RunFolder, split: str, hardware: Hardware) -> None:
        """Test a run in the standard way, write ``results.json``, print a table."""

    @abstractmethod
    def results(self, folder: RunFolder, split: str) -> list[Result]:
        """The results of the standard tests on a split, of the weights that the run keeps now; none if there are none.

        Raises:
            UserError: if the run or its results cannot be read.
        """

    @abstractmethod
    def document(self, folder: RunFolder) -> ResultsDocument[Any]:
        """All that ``results.json`` of a run says.

        Raises:
            UserError: if it is not there, or cannot be read.
        """

    @abstractmethod
    def outcomes(
        self,
        folder: RunFolder,
        result: Any,  # one of its results
    ) -> "Outcomes":
        """What came of each episode or image of a result.

        Raises:
            UserError: if its file is not there, or cannot be read.
        """

    @abstractmethod
    def overview(self, folder: RunFolder, looking: Looking, hardware: Hardware, on_progress: OnProgress) -> RunParts:
        """What a report of runs shows of one, besides what every run folder tells.

        Args:
            folder: the run.
            looking: how much is predicted anew.
            hardware: for that.
            on_progress: told how far it is.

        Raises:
            UserError: if the results are damaged; what else is not there is :class:`Missing`.
        """
