"""``python -m fewshot_sla.study RECIPE...``: several recipes, several seeds each: one table, one picture."""

import sys
from collections.abc import Sequence
from pathlib import Path

from fewshot_sla.cli import configuration
from fewshot_sla.cli.door import INTERRUPTED, OK, USER_ERROR, run_door
from fewshot_sla.studies.options import Study, check_trainings, kind_of, name_of_baseline, understood
from fewshot_sla.studies.plan import StudyPlan, shown_names, trainings_of
from fewshot_sla.training.signals import Interrupted

# What is compared where no recipe is named: the objectives of the paper on handwritten digits.
DIGITS = ["digits+baseline", "digits+da", "digits+mt", "digits+sla", "digits+sla_sd"]


def main(arguments: Sequence[str]) -> int:
    """Train and test whatever has not been, then print the tables and draw the picture."""
    words, told, study = understood(_parser(), arguments)
    words = words or DIGITS
    folder = Path(study.folder).expanduser()
    plan = StudyPlan(trainings_of(words, told), tuple(study.seeds), folder, study.split)
    kind, baseline = kind_of(words), name_of_baseline(study.baseline, words)
    check_trainings(kind, plan)

    # Heavy imports come after the command line is known to be good.
    from fewshot_sla.studies.work import fill

    try:
        failures = fill(
            kind, plan, workers=study.workers, threads=study.threads, launch=study.launch, slurm=study.slurm
        )
    except Interrupted as interrupted:
        sys.stderr.write(f"{interrupted}; the study goes on with the same command\n")
        return INTERRUPTED

    from fewshot_sla.reporting.formats import show
    from fewshot_sla.studies.cells import tested_cells
    from fewshot_sla.studies.report import draw_study, flat_table, save_study, study_tables
    from fewshot_sla.studies.rows import study_rows

    runs = tested_cells(kind, plan, {failure.cell for failure in failures})
    if not runs:
        return USER_ERROR
    rows, names, picture = study_rows(kind, runs, baseline), shown_names(words), folder / "study.png"
    save_study(folder / "study.json", rows, plan.seeds)
    draw_study(picture, rows, names)
    tables = [flat_table(rows, names)] if study.format in ("csv", "json") else study_tables(rows, names)
    show(*tables, f"picture: {picture}", form=study.format, output=study.output)
    return USER_ERROR if failures else OK


def _parser() -> configuration.ComposingParser:
    parser = configuration.build_parser(
        "python -m fewshot_sla.study",
        "Train and test several recipes with several seeds each, and compare them: few-shot ones on the same episodes "
        "at 1 and 5 shots, classifiers on the same images. Without a recipe: all objectives on handwritten digits. "
        "Options after -- go to every training: -- --loop.steps 100",
        Study,
        config_option=False,
    )
    parser.add_argument(
        "recipes",
        type=str,
        nargs="*",
        help="Words as --recipe of meta_train and train takes them, or YAML files; or one file with recipes, options "
        "of every training (options), and any option below.",
    )
    return parser


if __name__ == "__main__":
    sys.exit(run_door(main))
