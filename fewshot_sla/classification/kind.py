"""Classification as a kind of training: what its doors, its runs and studies of it go by."""

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from episodes.progress import OnProgress
from fewshot_sla.classification.classifier import Classifier, build_classifier
from fewshot_sla.classification.recipe import DEFAULTS, Classification, ClassificationTest
from fewshot_sla.reporting.overview.parts import Looking, RunParts
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.runs.results import Result, ResultsDocument, read_document
from fewshot_sla.training.kind import Kind
from fewshot_sla.training.recipe import Hardware
from fewshot_sla.training.trained import load_trained, recipe_parts

if TYPE_CHECKING:  # these take seconds to import, and --help does not need them
    from fewshot_sla.classification.task import ClassificationTask
    from fewshot_sla.runs.comparison import Outcomes
    from fewshot_sla.training.train import Training


class ClassificationKind(Kind[Classification, Classifier]):
    """Classification: recipes with a backbone and batches; tested on new images of the same classes."""

    wing = "classification"
    program = "train"
    tester = "test"
    description = (
        "Train a classifier, with or without label augmentation, on balanced or long-tailed data. Without any "
        "argument: all objectives on handwritten digits, compared over several seeds (see python -m "
        "fewshot_sla.study)."
    )
    recipe: ClassVar = Classification
    defaults: ClassVar = DEFAULTS

    def task(self, recipe: Classification) -> "ClassificationTask":
        """The task of a recipe, with the teacher that it names."""
        from fewshot_sla.classification.task import ClassificationTask

        teacher = recipe.distillation.teacher
        return ClassificationTask(recipe, load_trained(self, RunFolder(teacher)) if teacher else None)

    def model(self, recipe: Classification, state: dict[str, Any]) -> Classifier:
        """The recipe's backbone with the layers that its objective needs for the classes of the run."""
        channels, height, width = state["image_shape"]
        shape = (channels, height, width)
        return build_classifier(recipe.backbone, recipe.objective, shape, len(state["class_names"]))

    def report(self, training: "Training", folder: RunFolder, configuration: dict[str, Any]) -> None:
        """Results on the validation images, if there are any, and the learning curve."""
        from fewshot_sla.classification.report import report_training

        report_training(training, load_trained(self, folder), configuration)

    def test(self, folder: RunFolder, split: str, hardware: Hardware) -> None:
        """Every image as it is, by every inference."""
        from fewshot_sla.classification.testing import evaluate_runs

        evaluate_runs([load_trained(self, folder)], ClassificationTest(split=split), hardware)

    def results(self, folder: RunFolder, split: str) -> list[Result]:
        """Results of the images as they are, by every inference."""
        from fewshot_sla.classification.testing import standard_results

        data, objective = recipe_parts(self, folder, "data", "objective")
        return list(standard_results(folder, data, objective, split))

    def document(self, folder: RunFolder) -> ResultsDocument[Any]:
        """All results of a run."""
        from fewshot_sla.classification.results import ClassificationResult

        return read_document(folder, ClassificationResult)

    def outcomes(self, folder: RunFolder, result: Any) -> "Outcomes":
        """Whether each image was recognised."""
        from fewshot_sla.classification.results import paired_outcomes

        return paired_outcomes(folder, result)

    def overview(self, folder: RunFolder, looking: Looking, hardware: Hardware, on_progress: OnProgress) -> RunParts:
        """The worst mistakes, confusions, accuracy by class and by views, a map of features."""
        from fewshot_sla.classification.overview.parts import run_parts

        return run_parts(partial(load_trained, self, folder), folder, looking, hardware, on_progress)


CLASSIFICATION = ClassificationKind()
