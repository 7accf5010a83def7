"""``python -m fewshot_sla.meta_test RUN_FOLDER...``: the accuracy of meta-learners on classes that they never saw."""

import sys
from collections.abc import Sequence

from fewshot_sla.cli import configuration
from fewshot_sla.cli.door import OK, run_door
from fewshot_sla.meta.kind import META
from fewshot_sla.meta.recipe import MetaTest
from fewshot_sla.reporting.formats import Format
from fewshot_sla.runs.folder import RunFolder
from fewshot_sla.training.recipe import Hardware
from fewshot_sla.training.trained import load_trained


def main(arguments: Sequence[str]) -> int:
    """Load the runs, evaluate, write results.json of each, print one table."""
    parser = configuration.build_parser(
        "python -m fewshot_sla.meta_test",
        "Evaluate trained meta-learners. Model, transformations, data and normalisation come from the run folder. All "
        "shots are tested on one embedding of the images.",
        MetaTest,
        Hardware,
        config_option=False,
    )
    parser.add_argument(
        "run_folders", type=str, nargs="+", help="Run folders of meta_train; with --head also of train."
    )
    parser.add_argument(
        "--head",
        type=str,
        default="",
        help="Test the backbone of each run with this head, without more training: a name of configs/meta/head, a YAML "
        "file like those, or a class path; several with commas between them. The runs are of train on base classes, or "
        "of meta_train; what comes of each head goes to RUN_FOLDER/heads/HEAD.",
    )
    parser.add_argument(
        "--ten_crop",
        action="store_true",
        help="Also test with the mean feature of ten crops: corners and centre of the padded image, and of its mirror "
        "image.",
    )
    parser.add_argument("--format", type=Format, default="terminal", help="How the table is written.")
    parser.add_argument("--output", type=str, default="", help="File for the table; by default it is printed.")
    options = configuration.parse(parser, configuration.join_lists(arguments, "--k_shot"))
    test: MetaTest = configuration.instantiate(parser, options, MetaTest)
    hardware: Hardware = configuration.instantiate(parser, options, Hardware)

    from fewshot_sla.meta.testing import evaluate_runs  # heavy imports come after the command line is known to be good

    folders = [RunFolder(path) for path in options.run_folders]
    if options.head:
        from fewshot_sla.stages import lay_heads

        folders = lay_heads(folders, [word.strip() for word in options.head.split(",")], test.split, hardware)
    runs = [load_trained(META, folder) for folder in folders]
    evaluate_runs(runs, test, hardware, ten_crop=options.ten_crop, form=options.format, output=options.output)
    return OK


if __name__ == "__main__":
    sys.exit(run_door(main))
