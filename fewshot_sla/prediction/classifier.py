"""FewShotClassifier: few-shot prediction in scikit-learn's manner."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from episodes.errors import UserError
from fewshot_sla.prediction.export import export_backbone
from fewshot_sla.prediction.feature_cache import FeatureCache
from fewshot_sla.prediction.foreign import ForeignNetwork
from fewshot_sla.prediction.leave_one_out import MOST, wilson_interval
from fewshot_sla.prediction.load import find_device, load_model
from fewshot_sla.prediction.model import PredictionModel
from fewshot_sla.prediction.pictures import exchange, make_pictures
from fewshot_sla.prediction.predictor import PredictorOutput, fit
from fewshot_sla.prediction.saved import load_predictor, save_predictor


class FewShotClassifier(ClassifierMixin, BaseEstimator):
    """Learns classes from a few pictures each, without training.

    ``X`` is a list of pictures, each a path, the bytes of a file, a PIL image, an array [H, W] or [H, W, C], or a
    tensor [C, H, W]; or an array [n, H, W] or [n, H, W, C], or a tensor [n, C, H, W]. Values are bytes, or floats
    between 0 and 1. Pictures may have any size. ``y`` is a label a picture: text or numbers.

    Args:
        model: run folder of meta_train; or a file of :meth:`save`, of which the model is taken; or a ForeignNetwork,
            any network from elsewhere; by default the newest run under ``runs``.
        head: a Head in place of the model's own.
        transformations: the views in place of the model's own.
        inference: "aggregated" (SLA+AG), "single" (SLA+SI) or what else the model has; by default the inference that
            the best checkpoint was chosen by.
        framing: "crop" cuts out the middle square, "stretch" squeezes the whole picture into one.
        invert: exchange light and dark: "yes", "no", or "auto", by the border of the support pictures.
        transductive: allow that pictures that are asked together sway one another, if the model is of that kind.
        device: "auto", "cpu", "cuda", ...
        cache_folder: where features of support sets are kept from one fit to the next; None for nowhere.

    Attributes:
        classes_: the labels, sorted.
        predictor_: the model with its support set.
        inverted_: whether light and dark are exchanged.
    """

    def __init__(
        self,
        model: str | Path | ForeignNetwork | None = None,
        *,
        head: Any = None,
        transformations: Any = None,
        inference: str | None = None,
        framing: str = "crop",
        invert: str = "auto",
        transductive: bool = False,
        device: str = "auto",
        cache_folder: str | Path | None = None,
    ) -> None:
        self.model = model
        self.head = head
        self.transformations = transformations
        self.inference = inference
        self.framing = framing
        self.invert = invert
        self.transductive = transductive
        self.device = device
        self.cache_folder = cache_folder

    def fit(self, X: Any, y: ArrayLike) -> "FewShotClassifier":  # n pictures, [n] labels
        """Look at the labelled pictures; nothing is trained.

        Raises:
            UserError: if the model cannot be loaded, a picture cannot be read, or there is only one class.
        """
        if y is None:
            raise UserError("FewShotClassifier requires y to be passed, but the target y is None")
        labels = column_or_1d(y, warn=True)
        check_classification_targets(labels)
        model = self._model()
        pictures = make_pictures(X, model.format(self.framing))  # type: ignore[arg-type]
        if len(pictures) != len(labels):
            raise UserError(f"there are {len(pictures)} pictures but {len(labels)} labels")
        self.classes_, numbers = np.unique(labels, return_inverse=True)
        self.predictor_ = fit(
            model,
            pictures,
            numbers.astype(np.int64),
            tuple(self.classes_.tolist()),
            inference=self.inference or "",
            framing=self.framing,  # type: ignore[arg-type]
            invert=self.invert,  # type: ignore[arg-type]
            transductive=self.transductive,
            cache=None if self.cache_folder is None else FeatureCache(Path(self.cache_folder)),
        )
        self.inverted_ = self.predictor_.inverted
        return self

    def predict(self, X: Any) -> NDArray[Any]:  # [n]
        """The most probable label of each picture."""
        best = self._predictions(X).probabilities.argmax(axis=1)
        return self.classes_[best]

    def predict_proba(self, X: Any) -> NDArray[np.float64]:  # [n, N]
        """Softmax of the head's scores over ``classes_``: for ranking, not calibrated."""
        return self._predictions(X).probabilities

    def agreement(self, X: Any) -> NDArray[np.float64]:  # [n]
        """Share of the M views of each picture that alone vote for the predicted label; 1 with a single view."""
        found = self._predictions(X)
        return found.agreeing / found.views

    def leave_one_out(self, most: int = MOST) -> tuple[float, tuple[float, float]]:
        """Accuracy when each fitted picture in turn is left out, and its 95 % interval (Wilson).

        Args:
            most: how many pictures to leave out; of more, so many are drawn.

        Raises:
            UserError: if every class has one picture only, or the model is transductive.
        """
        check_is_fitted(self)
        left = self.predictor_.leave_one_out(most)
        if not len(left.rows):
            raise UserError("every class has a single picture: none can be left out")
        right = int((self.predictor_.labels.numpy()[left.rows] == left.predicted).sum())
        return right / len(left.rows), wilson_interval(right, len(left.rows))

    def save(self, path: str | Path) -> None:
        """Write the fitted classifier as one file (safetensors with JSON); see :meth:`load`.

        Raises:
            UserError: if a part of it has no class path to make it again from.
        """
        check_is_fitted(self)
        save_predictor(Path(path), self.predictor_)

    @classmethod
    def load(cls, path: str | Path, device: str = "auto") -> "FewShotClassifier":
        """A classifier from :meth:`save`, fitted; it predicts what the saved one did, and fits anew with its model.

        Raises:
            UserError: if the file is none, or names a class that is not installed.
        """
        predictor = load_predictor(Path(path)).to(find_device(device))
        made = cls(
            path,
            inference=predictor.inference_name,
            framing=predictor.framing,
            transductive=predictor.transductive,
            device=device,
        )
        made.predictor_ = predictor
        made.classes_ = np.array(predictor.classes)
        made.inverted_ = predictor.inverted
        return made

    def export_backbone(self, path: str | Path) -> None:
        """Write normalisation and backbone as a program; see :func:`fewshot_sla.prediction.export.export_backbone`."""
        check_is_fitted(self)
        export_backbone(path, self.predictor_.model)

    def _predictions(self, X: Any) -> PredictorOutput:
        check_is_fitted(self)
        pictures = make_pictures(X, self.predictor_.format)
        if self.inverted_:
            exchange(pictures)
        return self.predictor_.predict(pictures)

    def _model(self) -> PredictionModel:
        """What the arguments describe; given networks and heads are copied, so that they stay as they are."""
        model = load_model(copy.deepcopy(self.model))
        return model.adapted(copy.deepcopy(self.head), self.transformations).to(find_device(self.device))

    def __getstate__(self) -> dict[str, Any]:
        """For pickling: on the CPU, so that a machine without this device can read it."""
        state = super().__getstate__()
        predictor = state.get("predictor_")
        if predictor is not None and predictor.items.device.type != "cpu":
            state["predictor_"] = copy.deepcopy(predictor).to(torch.device("cpu"))
        return state

    def __sklearn_tags__(self) -> Any:
        """Pictures are no rows of numbers."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        return tags
