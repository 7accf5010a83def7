"""Meta-training as a kind of training: what its doors, its runs and studies of it go by."""

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from episodes.progress import OnProgress
from fewshot_sla.meta.learners.base import MetaLearner
from fewshot_sla.meta.recipe import DEFAULTS, MetaTest, MetaTraining
from fewshot_sla.reporting.overview.parts import Looking, RunParts
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.results import Result, ResultsDocument, read_document
from fewshot_sla.training.kind import Kind
from fewshot_sla.training.recipe import Hardware
from fewshot_sla.training.trained import load_trained, recipe_parts

if TYPE_CHECKING:  # these take seconds to import, and --help does not need them
    from fewshot_sla.meta.task import MetaTask
    from fewshot_sla.runs.comparison import Outcomes
    from fewshot_sla.training.train import Training


class MetaKind(Kind[MetaTraining, MetaLearner]):
    """Meta-training: recipes with a learner and episodes; tested on episodes of classes that it never saw."""

    wing = "meta"
    program = "meta_train"
    tester = "meta_test"
    description = (
        "Meta-train a few-shot learner, with or without label augmentation. Without arguments: ProtoNet + SLA on "
        "letters rendered from fonts."
    )
    recipe: ClassVar = MetaTraining
    defaults: ClassVar = DEFAULTS
    advice: ClassVar = ", or with a few-shot head on top: python -m fewshot_sla.meta_test RUN --head logistic"

    def task(self, recipe: MetaTraining) -> "MetaTask":
        """The task of a recipe."""
        from fewshot_sla.meta.task import MetaTask

        return MetaTask(recipe)

    def model(self, recipe: MetaTraining, state: dict[str, Any]) -> MetaLearner:
        """The learner that the recipe describes, told the shape of the images."""
        from fewshot_sla.training.randomness import seeded

        channels, height, width = state["image_shape"]
        with seeded(0):  # the weights that are drawn are replaced, and nobody's generator is disturbed
            recipe.learner.told((channels, height, width))
        return recipe.learner

    def report(self, training: "Training", folder: RunFolder, configuration: dict[str, Any]) -> None:
        """Results on the validation episodes, the learning curve, and one episode as a picture."""
        from fewshot_sla.meta.report import report_training

        report_training(training, load_trained(self, folder), configuration)

    def test(self, folder: RunFolder, split: str, hardware: Hardware) -> None:
        """1,000 episodes at 1 and at 5 shots."""
        from fewshot_sla.meta.testing import evaluate_run

        evaluate_run(load_trained(self, folder), MetaTest(split=split), hardware)

    def results(self, folder: RunFolder, split: str) -> list[Result]:
        """Results by every inference at 1 and at 5 shots, if both are there."""
        from fewshot_sla.meta.testing import standard_results

        data, objective = recipe_parts(self, folder, "data", "objective")
        return list(standard_results(folder, data, objective, split))

    def document(self, folder: RunFolder) -> ResultsDocument[Any]:
        """All results of a run."""
        from fewshot_sla.meta.results import EpisodeResult

        return read_document(folder, EpisodeResult)

    def outcomes(self, folder: RunFolder, result: Any) -> "Outcomes":
        """Right answers for each class of each episode."""
        from fewshot_sla.meta.outcome_files import paired_outcomes

        return paired_outcomes(folder, result)

    def overview(self, folder: RunFolder, looking: Looking, hardware: Hardware, on_progress: OnProgress) -> RunParts:
        """The best, the median and the worst episode, confusions, accuracy by class and by views, a map of features."""
        from fewshot_sla.meta.overview.parts import run_parts

        return run_parts(partial(load_trained, self, folder), folder, looking, hardware, on_progress)


META = MetaKind()
