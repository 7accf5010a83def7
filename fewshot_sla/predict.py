"""``python -m fewshot_sla.predict RUN_FOLDER --support DIR --query DIR``: the classes of your own pictures."""

import os
import sys
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jsonargparse import ArgumentParser, Namespace
from torch import nn

from episodes.errors import UserError
from episodes.transformations import Transformations, named_transformations
from fewshot_sla.cli import configuration
from fewshot_sla.cli.build import build
from fewshot_sla.cli.describe import plain
from fewshot_sla.cli.door import OK, run_door
from fewshot_sla.heads.base import Head
from fewshot_sla.prediction.foreign import ForeignNetwork

if TYPE_CHECKING:
    from episodes.progress import OnProgress
    from fewshot_sla.prediction.files import PredictionFiles
    from fewshot_sla.prediction.predictor import Predictor


@dataclass
class Predict:
    """What to predict, and where to write it.

    Args:
        support: folder with a folder of pictures for each class, DIR/CLASS/*; the names of the folders are the labels.
        output_folder: where predictions.csv, predictions.json and predictions.html go.
        html: the page, if it is to have another name.
        top_k: how many labels to write for each query.
        inference: "aggregated" (SLA+AG, all views), "single" (SLA+SI, one view), ...; by default the one that the best
            checkpoint was chosen by.
        framing: "crop" cuts the middle square out of every picture, "stretch" squeezes the whole picture into one.
        invert: exchange light and dark in every picture; "auto" does so if the model was trained on the opposite, as
            told by the borders of the support pictures.
        transductive: allow a transductive model, whose answer to a picture depends on those that are asked with it.
        device: "auto", "cpu", "cuda", ...
        save: file to write model and support to, as one; give it in place of a run folder and --support later.
        export: file to write the backbone alone to as a program, NAME.pt2 (torch.export) or NAME.onnx.
        cache: keep the features of the support pictures in the cache folder for the next time.
        head: class path of a head in place of the model's own, fewshot_sla.heads.RidgeHead say.
        transformations: views in place of the model's own: rotation4, color3, rotation4+color6, ..., or a class path,
            episodes.Rotation say.
    """

    support: str = ""
    output_folder: str = "predictions"
    html: str = ""
    top_k: int = 3
    inference: str = ""
    framing: Literal["crop", "stretch"] = "crop"
    invert: Literal["auto", "yes", "no"] = "auto"
    transductive: bool = False
    device: str = "auto"
    save: str = ""
    export: str = ""
    cache: bool = True
    head: Head | None = None
    transformations: Transformations | str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be shown, and find the views."""
        if self.top_k < 1:
            raise UserError(f"top_k must be at least 1, got {self.top_k}")
        if isinstance(self.transformations, str) and "." in self.transformations:  # no set; say what is wrong with it
            self.transformations = build(Transformations, {"class_path": self.transformations})  # type: ignore[type-abstract]
        elif self.transformations and isinstance(self.transformations, str):
            self.transformations = named_transformations(self.transformations)


def main(arguments: Sequence[str]) -> int:
    """Load the model, show it the support, predict the queries, write and print."""
    parser = _parser()
    _check_parents(arguments)
    options = configuration.parse(parser, arguments)
    model = _model_named(options)
    predict: Predict = configuration.instantiate(parser, options, Predict)
    if isinstance(model, Path) and not os.path.lexists(model):
        raise UserError(f"{model}: there is no such folder or file; give a run of meta_train or what --save wrote")
    is_saved = isinstance(model, Path) and model.is_file()
    if not is_saved and not predict.support:
        raise UserError("--support is missing: give a folder with a folder of pictures for each class")

    # Heavy imports come after the command line is known to be good.
    from episodes.progress import show_progress
    from fewshot_sla.prediction.folders import query_files
    from fewshot_sla.prediction.from_folders import predict_files
    from fewshot_sla.prediction.tables import closing_lines, prediction_table
    from fewshot_sla.reporting.formats import show

    files = _files(predict)
    files.check()  # what cannot be written, and what is not there, is said before anything is computed
    queries, notes = query_files([os.path.expanduser(name) for name in options.query])
    with show_progress("predicting") as on_progress:
        if isinstance(model, Path) and is_saved:
            predictor = _load(model, predict)
        else:
            predictor = _fit(model, predict, options.strict, on_progress)
        report = predict_files(predictor, queries, strict=options.strict, on_progress=on_progress, notes=notes)
    files.write(report, predictor, predict.top_k)
    written = [str(path) for path in files.paths]
    show(prediction_table(report, predict.top_k), *closing_lines(report, written))
    return OK


def _parser() -> ArgumentParser:
    parser = configuration.build_parser(
        "python -m fewshot_sla.predict",
        "Tell which class pictures belong to, from a few labelled pictures of each class; nothing is trained.",
        Predict,
        config_option=False,
    )
    parser.add_argument(
        "model",
        type=str,
        nargs="?",
        default="",
        metavar="RUN_FOLDER",
        help="Run folder of meta_train, or a file written with --save; by default the newest run under ./runs.",
    )
    parser.add_argument("--query", type=str, nargs="+", required=True, help="Pictures, or folders of pictures.")
    parser.add_argument("--strict", action="store_true", help="Stop at the first picture that cannot be read.")
    backbone = parser.add_argument(
        "--backbone",
        type=nn.Module,
        help="Class path of any network in place of a run, torchvision.models.resnet18 say; --backbone.NAME gives it "
        "an argument (--backbone.dict_kwargs.NAME, where its signature only has **kwargs).",
    )
    backbone.extra_help = str  # not the name of every module of torch
    parser.add_class_arguments(ForeignNetwork, skip={"backbone", "arguments"}, fail_untyped=True)
    return parser


def _check_parents(arguments: Sequence[str]) -> None:
    """Refuse arguments of a class that is not given."""
    for parent in ("--backbone", "--head", "--transformations"):
        given = any(word == parent or word.startswith(f"{parent}=") for word in arguments)
        lost = [word.partition("=")[0] for word in arguments if word.startswith(f"{parent}.")]
        if lost and not given:
            raise UserError(f"{lost[0]} belongs to {parent}, which is not given")


def _model_named(options: Namespace) -> Path | ForeignNetwork | None:
    """What the model is made from; None for the newest run."""
    described = options.pop("backbone", None)
    plain_values = {name.name: name.default for name in fields(ForeignNetwork) if name.default is not MISSING}
    given = {name: options[name] for name in plain_values if name != "backbone" and options[name] != plain_values[name]}
    if described is None:
        if given:
            raise UserError(f"--{next(iter(given))} belongs to --backbone, which is not given")
        return Path(options.model).expanduser() if options.model else None
    if options.model:
        raise UserError(f"give a run folder ({options.model}) or --backbone ({described.class_path}), not both")
    whole = described.as_dict()
    arguments = {**whole.get("init_args", {}), **whole.get("dict_kwargs", {})}
    return ForeignNetwork(described.class_path, plain(arguments, described.class_path), **given)


def _files(predict: Predict) -> "PredictionFiles":
    """Where everything goes."""
    from fewshot_sla.prediction.files import PredictionFiles

    folder = Path(os.path.expanduser(predict.output_folder))
    page, saved, program = (
        Path(os.path.expanduser(name)) if name else None for name in (predict.html, predict.save, predict.export)
    )
    return PredictionFiles(
        folder / "predictions.csv", folder / "predictions.json", page or folder / "predictions.html", saved, program
    )


def _fit(model: Path | ForeignNetwork | None, predict: Predict, strict: bool, on_progress: "OnProgress") -> "Predictor":
    """Load the model and show it its support."""
    from episodes.storage import cache_folder
    from fewshot_sla.prediction.feature_cache import FeatureCache
    from fewshot_sla.prediction.folders import support_files
    from fewshot_sla.prediction.from_folders import fit_files
    from fewshot_sla.prediction.load import find_device, load_model
    from fewshot_sla.prediction.predictor import check_transduction
    from fewshot_sla.reporting.formats import show

    loaded = load_model(model)
    if model is None:
        show(f"newest run: {loaded.name}")
    loaded = loaded.adapted(predict.head, predict.transformations or None)  # type: ignore[arg-type]
    check_transduction(loaded, allowed=predict.transductive)
    files, notes = support_files(Path(os.path.expanduser(predict.support)))
    return fit_files(
        loaded.to(find_device(predict.device)),
        files,
        inference=predict.inference,
        framing=predict.framing,
        invert=predict.invert,
        transductive=predict.transductive,
        strict=strict,
        cache=FeatureCache(cache_folder() / "features") if predict.cache else None,
        on_progress=on_progress,
        notes=notes,
    )


def _load(path: Path, predict: Predict) -> "Predictor":
    """A saved classifier: model and support are settled already."""
    from fewshot_sla.prediction.load import find_device
    from fewshot_sla.prediction.predictor import check_transduction
    from fewshot_sla.prediction.saved import load_predictor

    settled = ("support", "framing", "invert", "head", "transformations")
    if any(getattr(predict, name) != getattr(Predict(), name) for name in settled):
        raise UserError(f"{path} is a saved classifier, with model and support; leave the options about these out")
    predictor = load_predictor(path).to(find_device(predict.device))
    check_transduction(predictor.model, allowed=predict.transductive)
    if predict.inference:
        predictor = replace(predictor, inference_name=predictor.model.inference(predict.inference)[0])
    return predictor


if __name__ == "__main__":
    sys.exit(run_door(main))
