"""``python -m fewshot_sla.meta_train``: train a meta-learner; the run folder then holds all there is to know of it."""

import sys
from collections.abc import Sequence

import yaml
from jsonargparse import ArgumentParser, Namespace

from episodes.errors import UserError
from fewshot_sla.engine import configuration
from fewshot_sla.engine.door import INTERRUPTED, OK, run_door
from fewshot_sla.engine.randomness import seeded
from fewshot_sla.engine.recipe import Hardware, MetaTraining, recipe_parser
from fewshot_sla.engine.run_folder import RunFolder


def main(arguments: Sequence[str]) -> int:
    """Parse, check everything, train, report."""
    parser = recipe_parser()
    options = configuration.parse(parser, arguments)
    folder = RunFolder(options.run_folder)
    if options.resume and options.config is None:
        folder.require()
        options = configuration.parse(parser, ["--config", str(folder.config), *arguments])
    resolved = _resolved(parser, options)
    resuming = options.resume and folder.holds_run
    if resuming and not folder.last.exists():
        raise UserError(f"{folder.last}: the checkpoint to resume from is gone; start anew in another --run_folder")
    if resuming:
        _check_same_recipe(folder, resolved)
    with seeded(options.seed):  # initial weights
        recipe: MetaTraining = configuration.instantiate(parser, options, MetaTraining)
    hardware: Hardware = configuration.instantiate(parser, options, Hardware)

    # Heavy imports come after the command line is known to be good.
    from fewshot_sla.engine.loop import Interrupted
    from fewshot_sla.engine.training import train
    from fewshot_sla.reporting.run_report import report_training

    header = f"# python -m fewshot_sla.meta_train --config {folder.config}\n"
    try:
        trained = train(recipe, hardware, folder, header + yaml.safe_dump(resolved, sort_keys=False), resuming=resuming)
    except Interrupted as interrupted:
        again = f"python -m fewshot_sla.meta_train --resume --run_folder {folder.path}"
        sys.stderr.write(f"{interrupted}; continue with: {again}\n")
        return INTERRUPTED
    if trained.is_first_process:
        report_training(trained, folder, resolved)
    return OK


def _resolved(parser: ArgumentParser, options: Namespace) -> dict:
    """The whole configuration as plain containers, without what is only a wish of this command."""
    resolved = yaml.safe_load(parser.dump(options))
    resolved.pop("resume", None)
    return resolved


def _check_same_recipe(folder: RunFolder, asked: dict) -> None:
    """A run is resumed by the recipe it began with; only how long, how often and on what may change."""
    free = {"run_folder", "loop", *Hardware.__dataclass_fields__}
    began = yaml.safe_load(folder.config.read_text())
    for key in asked:
        if key not in free and began.get(key) != asked[key]:
            raise UserError(
                f"{folder.path}: the run began with another {key!r}; resume it without --config and --{key}, "
                "or start anew in another --run_folder"
            )


if __name__ == "__main__":
    sys.exit(run_door(main))
