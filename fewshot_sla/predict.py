"""``python -m fewshot_sla.predict RUN_FOLDER --support DIR --query DIR``: the classes of your own pictures."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jsonargparse import ArgumentParser

from episodes.errors import UserError
from fewshot_sla.engine import configuration
from fewshot_sla.engine.door import OK, run_door

if TYPE_CHECKING:
    from fewshot_sla.engine.progress import Progress
    from fewshot_sla.prediction.from_folders import Shown
    from fewshot_sla.prediction.model import PredictionModel
    from fewshot_sla.prediction.report import PredictionReport


@dataclass
class Predict:
    """What to predict, and where to write it.

    Args:
        support: folder with a folder of pictures for each class, DIR/CLASS/*; the names of the folders are the labels.
        output_folder: where predictions.csv, predictions.json and predictions.html go.
        html: the page, if it is to have another name.
        top_k: how many labels to write for each query.
        framing: "crop" cuts the middle square out of every picture, "stretch" squeezes the whole picture into one.
        invert: exchange light and dark in every picture; "auto" does so if the model was trained on the opposite, as
            told by the borders of the support pictures.
        device: "auto", "cpu", "cuda", ...
        save: file to write model and support to, as one; give it in place of a run folder and --support later.
        export: file to write the backbone alone to as a program, NAME.pt2 (torch.export) or NAME.onnx.
    """

    support: str = ""
    output_folder: str = "predictions"
    html: str = ""
    top_k: int = 3
    framing: Literal["crop", "stretch"] = "crop"
    invert: Literal["auto", "yes", "no"] = "auto"
    device: str = "auto"
    save: str = ""
    export: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be shown."""
        if self.top_k < 1:
            raise UserError(f"top_k must be at least 1, got {self.top_k}")


@dataclass
class OtherModel:
    """A model that is no run folder, or parts in place of the run's own.

    Args:
        backbone: class path of any network, torchvision.models.resnet18 say, in place of a run folder.
        backbone_args: its keyword arguments.
        weights: safetensors file with its weights.
        drop: layer of it to leave out, the one that scores other classes; "auto" finds it in torchvision's and timm's.
        channels: of the pictures it takes: 3 for colour, 1 for grey.
        image_size: side in pixels of the pictures it takes.
        mean: of each channel of the images it was trained on, pixels between 0 and 1; by default ImageNet's.
        deviation: of each channel; by default ImageNet's.
        head: class path of a head in place of the model's own.
        head_args: its keyword arguments as JSON.
        transformations: views in place of the model's own, by name: rotation4, color3, rotation4+color6, ...
    """

    backbone: str = ""
    backbone_args: dict[str, Any] = field(default_factory=dict)
    weights: str = ""
    drop: str = "auto"
    channels: int = 3
    image_size: int = 224
    mean: list[float] = field(default_factory=list)
    deviation: list[float] = field(default_factory=list)
    head: str = ""
    head_args: str = "{}"
    transformations: str = ""


def main(arguments: Sequence[str]) -> int:
    """Load the model, show it the support, predict the queries, write and print."""
    parser = _parser()
    options = configuration.parse(parser, arguments)
    predict: Predict = configuration.instantiate(parser, options, Predict)
    other: OtherModel = configuration.instantiate(parser, options, OtherModel)
    saved = bool(options.model) and Path(options.model).is_file()
    if not saved and not predict.support:
        raise UserError("--support is missing: give a folder with a folder of pictures for each class")

    # Heavy imports come after the command line is known to be good.
    from fewshot_sla.engine.progress import show_progress
    from fewshot_sla.prediction.folders import query_files
    from fewshot_sla.prediction.from_folders import predict_files

    query_files(options.query)  # what is not there is said before anything is computed
    with show_progress("predicting") as progress:
        if saved:
            shown = _load(Path(options.model), predict, other, options.single)
        else:
            shown = _look(_model(options.model, other), predict, options.single, options.strict, progress)
        report = predict_files(shown, options.query, strict=options.strict, count=progress.count)
    _write(report, shown, predict)
    return OK


def _parser() -> ArgumentParser:
    parser = configuration.build_parser(
        "python -m fewshot_sla.predict",
        "Tell which class pictures belong to, from a few labelled pictures of each class; nothing is trained.",
        Predict,
        OtherModel,
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
    parser.add_argument("--single", action="store_true", help="SLA+SI, one view, in place of SLA+AG, all views.")
    parser.add_argument("--strict", action="store_true", help="Stop at the first picture that cannot be read.")
    return parser


def _model(folder: str, other: OtherModel) -> "PredictionModel":
    """The model that the options describe."""
    from episodes.transformations import named_transformations
    from fewshot_sla.heads.class_path import head_factory
    from fewshot_sla.prediction.load import adapt, load_backbone, load_run
    from fewshot_sla.reporting.tables import show

    if other.backbone and folder:
        raise UserError(f"give a run folder ({folder}) or --backbone ({other.backbone}), not both")
    if other.backbone:
        model = load_backbone(
            other.backbone,
            other.image_size,
            arguments=other.backbone_args,
            channels=other.channels,
            drop=other.drop,
            weights=other.weights,
            mean=tuple(other.mean),
            deviation=tuple(other.deviation),
        )
    else:
        model = load_run(folder or None)
        if not folder:
            show(f"newest run: {model.name}")
    head = head_factory(other.head, other.head_args)() if other.head else None
    return adapt(model, head, named_transformations(other.transformations) if other.transformations else None)


def _look(model: "PredictionModel", predict: Predict, single: bool, strict: bool, progress: "Progress") -> "Shown":
    """Show the model its support."""
    from episodes.storage import cache_folder
    from fewshot_sla.prediction.feature_cache import FeatureCache
    from fewshot_sla.prediction.folders import support_files
    from fewshot_sla.prediction.from_folders import show_support
    from fewshot_sla.prediction.load import device_called

    files, notes = support_files(Path(predict.support))
    return show_support(
        model.to(device_called(predict.device)),
        files,
        inference="single" if single else "",
        framing=predict.framing,
        invert=predict.invert,
        strict=strict,
        cache=FeatureCache(cache_folder() / "features"),
        count=progress.count,
        notes=notes,
    )


def _load(path: Path, predict: Predict, other: OtherModel, single: bool) -> "Shown":
    """A saved classifier: model and support are settled already."""
    from fewshot_sla.prediction.from_folders import Shown
    from fewshot_sla.prediction.load import device_called
    from fewshot_sla.prediction.saved import load_predictor

    if predict.support or other != OtherModel():
        raise UserError(f"{path} is a saved classifier, with model and support; leave the options about these out")
    predictor = load_predictor(path).to(device_called(predict.device))
    if single:
        predictor = replace(predictor, inference_name=predictor.model.inference("single")[0])
    return Shown(predictor)


def _write(report: "PredictionReport", shown: "Shown", predict: Predict) -> None:
    """All files, then the table."""
    from fewshot_sla.engine.run_folder import write_text
    from fewshot_sla.prediction.export import export_backbone
    from fewshot_sla.prediction.saved import save_predictor
    from fewshot_sla.reporting.prediction_page import write_page
    from fewshot_sla.reporting.prediction_tables import (
        closing_lines,
        prediction_table,
        predictions_as_csv,
        predictions_as_json,
    )
    from fewshot_sla.reporting.tables import show

    folder = Path(predict.output_folder).expanduser()
    page = Path(predict.html).expanduser() if predict.html else folder / "predictions.html"
    written = [folder / "predictions.csv", folder / "predictions.json", page]
    if predict.export:
        export_backbone(predict.export, shown.predictor.model)
        written.append(Path(predict.export))
    if predict.save:
        save_predictor(Path(predict.save), shown.predictor)
        written.append(Path(predict.save))
    write_page(page, report)
    write_text(folder / "predictions.csv", predictions_as_csv(report, predict.top_k))
    write_text(folder / "predictions.json", predictions_as_json(report, predict.top_k))
    show(prediction_table(report, predict.top_k), *closing_lines(report, [str(path) for path in written]))


if __name__ == "__main__":
    sys.exit(run_door(main))
