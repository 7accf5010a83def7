"""``python -m fewshot_sla.meta_test RUN_FOLDER``: the accuracy of a trained meta-learner on classes it never saw."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from episodes.datasets.base import load_split
from episodes.episode import EpisodeSpec
from episodes.errors import UserError
from episodes.images.placement import place
from fewshot_sla.cli import configuration
from fewshot_sla.cli.door import OK, run_door
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.training.recipe import Hardware


@dataclass
class MetaTest:
    """Which episodes to test on.

    Args:
        n_way: classes of an episode (N).
        k_shot: one or more numbers of support images a class (K); each is a test of its own.
        n_query: query images of each class (Q).
        episodes: episodes of each test.
        seed: which episodes; runs that are to be compared need the same.
        split: "test", "val" or "train".
    """

    n_way: int = 5
    k_shot: list[int] = field(default_factory=lambda: [1, 5])
    n_query: int = 15
    episodes: int = 1000
    seed: int = 0
    split: str = "test"

    def __post_init__(self) -> None:
        """Refuse what no test can be."""
        if self.episodes < 1:
            raise UserError(f"episodes must be at least 1, got {self.episodes}")
        if not self.k_shot:
            raise UserError("k_shot needs at least one number")

    def specs(self) -> list[EpisodeSpec]:
        """One size of episodes a test."""
        return [EpisodeSpec(self.n_way, k_shot, self.n_query) for k_shot in self.k_shot]


def main(arguments: Sequence[str]) -> int:
    """Load the run, evaluate, write results.json, print the table."""
    parser = configuration.build_parser(
        "python -m fewshot_sla.meta_test",
        "Evaluate a trained meta-learner. Model, transformations, data and normalisation come from the run folder.",
        MetaTest,
        Hardware,
        config_option=False,
    )
    parser.add_argument("run_folder", type=str, help="Run folder of meta_train.")
    options = configuration.parse(parser, configuration.join_lists(arguments, "--k_shot"))
    test: MetaTest = configuration.instantiate(parser, options, MetaTest)
    hardware: Hardware = configuration.instantiate(parser, options, Hardware)
    _test(RunFolder(options.run_folder), test, hardware)
    return OK


def _test(folder: RunFolder, test: MetaTest, hardware: Hardware) -> None:
    """Evaluate every size of episodes; the first process writes the results and shows them."""
    # Heavy imports come after the command line is known to be good.
    from fewshot_sla.cli.progress import show_progress
    from fewshot_sla.meta.distributed import evaluate_together
    from fewshot_sla.meta.report import draw_one_episode
    from fewshot_sla.meta.results import outcome_tables, summarize
    from fewshot_sla.meta.tables import results_table
    from fewshot_sla.meta.trained import load_trained
    from fewshot_sla.reporting.tables import show
    from fewshot_sla.runs.results import save_results
    from fewshot_sla.training.details import evaluation_details

    run = load_trained(folder)
    images = load_split(run.recipe.data, test.split)
    for spec in test.specs():
        run.source(images, spec, test.seed)  # what cannot be drawn is said before anything is computed
    fabric = hardware.fabric()
    fabric.launch()
    hardware.prepare(run.to(fabric.device).recipe.learner)
    images = place(images, fabric.device, hardware.placement)
    sources = [run.source(images, spec, test.seed) for spec in test.specs()]

    results = []
    for source in sources:
        began = time.monotonic()
        with show_progress(f"testing, {source.sampler.spec}", silent=not fabric.is_global_zero) as progress:
            outcomes = evaluate_together(
                fabric,
                run.recipe.learner,
                run.recipe.objective,
                source,
                range(test.episodes),
                progress.count,
            )
        tested = summarize(
            outcomes,
            source.images,
            source.sampler.spec,
            test.seed,
            primary=run.recipe.objective.primary,
            step=int(run.best["step"]),
        )
        if fabric.is_global_zero:
            name = tested[0].test_name
            details = evaluation_details(run.configuration, hardware, fabric, {name: time.monotonic() - began})
            tables = outcome_tables(tested, outcomes, source.images.class_names)
            save_results(run.folder, tested, tables, source.images, details)
        results += tested
    if fabric.is_global_zero:
        draw_one_episode(run, run.folder, sources[0], fabric.autocast)
        show(results_table(results, f"{run.folder.path} on {images.name}"))


if __name__ == "__main__":
    sys.exit(run_door(main))
