"""``python -m fewshot_sla.predict RUN_FOLDER --support DIR --query DIR``: the classes of your own pictures."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jsonargparse import ArgumentParser

from episodes.errors import UserError
from fewshot_sla.cli import configuration
from fewshot_sla.cli.door import OK, run_door

if TYPE_CHECKING:
    from episodes.progress import OnProgress
    from fewshot_sla.prediction.files import PredictionFiles
    from fewshot_sla.prediction.from_folders import Shown
    from fewshot_sla.prediction.model import PredictionModel


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
        cache: keep the features of the support pictures in the cache folder for the next time.
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
    cache: bool = True

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

    def __post_init__(self) -> None:
        """Refuse options that would be passed over in silence."""
        plain = {
            option.name: option.default_factory() if callable(option.default_factory) else option.default
            for option in fields(self)
        }
        for name in ("backbone_args", "weights", "drop", "channels", "image_size", "mean", "deviation"):
            if not self.backbone and getattr(self, name) != plain[name]:
                raise UserError(f"--{name} belongs to --backbone, which is not given")
        if not self.head and self.head_args != plain["head_args"]:
            raise UserError("--head_args belongs to --head, which is not given")


def main(arguments: Sequence[str]) -> int:
    """Load the model, show it the support, predict the queries, write and print."""
    parser = _parser()
    options = configuration.parse(parser, arguments)
    predict: Predict = configuration.instantiate(parser, options, Predict)
    other: OtherModel = configuration.instantiate(parser, options, OtherModel)
    model, query = os.path.expanduser(options.model), [os.path.expanduser(name) for name in options.query]
    if model and not os.path.lexists(model):
        raise UserError(f"{model}: there is no such folder or file; give a run of meta_train or what --save wrote")
    saved = bool(model) and Path(model).is_file()
    if not saved and not predict.support:
        raise UserError("--support is missing: give a folder with a folder of pictures for each class")

    # Heavy imports come after the command line is known to be good.
    from episodes.progress import show_progress
    from fewshot_sla.prediction.folders import query_files
    from fewshot_sla.prediction.from_folders import predict_files
    from fewshot_sla.prediction.tables import closing_lines, prediction_table
    from fewshot_sla.reporting.tables import show

    files = _files(predict)
    files.check()  # what cannot be written, and what is not there, is said before anything is computed
    query_files(query)
    with show_progress("predicting") as on_progress:
        if saved:
            shown = _load(Path(model), predict, other, options.single)
        else:
            shown = _look(_model(model, other), predict, options.single, options.strict, on_progress)
        report = predict_files(shown, query, strict=options.strict, on_progress=on_progress)
    files.write(report, shown.predictor, predict.top_k)
    written = [str(path) for path in files.paths]
    show(prediction_table(report, predict.top_k), *closing_lines(report, written))
    return OK


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
            weights=os.path.expanduser(other.weights),
            mean=tuple(other.mean),
            deviation=tuple(other.deviation),
        )
    else:
        model = load_run(folder or None)
        if not folder:
            show(f"newest run: {model.name}")
    try:
        head = head_factory(other.head, other.head_args)() if other.head else None
    except UserError as error:  # it is called otherwise at other doors
        raise UserError(str(error).replace("--init_args", "--head_args")) from error
    return adapt(model, head, named_transformations(other.transformations) if other.transformations else None)


def _look(model: "PredictionModel", predict: Predict, single: bool, strict: bool, on_progress: "OnProgress") -> "Shown":
    """Show the model its support."""
    from episodes.storage import cache_folder
    from fewshot_sla.prediction.feature_cache import FeatureCache
    from fewshot_sla.prediction.folders import support_files
    from fewshot_sla.prediction.from_folders import show_support
    from fewshot_sla.prediction.load import device_called

    files, notes = support_files(Path(os.path.expanduser(predict.support)))
    return show_support(
        model.to(device_called(predict.device)),
        files,
        inference="single" if single else "",
        framing=predict.framing,
        invert=predict.invert,
        strict=strict,
        cache=FeatureCache(cache_folder() / "features") if predict.cache else None,
        on_progress=on_progress,
        notes=notes,
    )


def _load(path: Path, predict: Predict, other: OtherModel, single: bool) -> "Shown":
    """A saved classifier: model and support are settled already."""
    from fewshot_sla.prediction.from_folders import Shown
    from fewshot_sla.prediction.load import device_called
    from fewshot_sla.prediction.remarks import remarks_on_saved
    from fewshot_sla.prediction.saved import load_predictor

    plain = Predict()
    if (predict.support, predict.framing, predict.invert) != ("", plain.framing, plain.invert) or other != OtherModel():
        raise UserError(f"{path} is a saved classifier, with model and support; leave the options about these out")
    predictor = load_predictor(path).to(device_called(predict.device))
    if single:
        predictor = replace(predictor, inference_name=predictor.model.inference("single")[0])
    return Shown(predictor, notes=remarks_on_saved(predictor))


if __name__ == "__main__":
    sys.exit(run_door(main))
