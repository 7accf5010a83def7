"""scikit-learn's own checks of an estimator, as far as they apply to pictures (docs/predict.md says which do not).

The checks make rows of numbers. Where a check needs no usable data, it runs on FewShotClassifier itself. The others run
on a classifier that draws a picture of every row and gives it to FewShotClassifier; what these say of rows that are no
numbers (sparse, complex, not finite, of another length) is said by scikit-learn's validation of rows, not by ours.
"""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import SkipTestWarning
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks
from sklearn.utils.validation import check_is_fitted, validate_data

from fewshot_sla.prediction.classifier import FewShotClassifier
from fewshot_sla.prediction.foreign import ForeignNetwork

SIDE = 12
OPTIONS = {
    "model": ForeignNetwork("tests.fewshot_sla.prediction.networks.Pixels", channels=1, image_size=SIDE),
    "invert": "no",
    "device": "cpu",
}
# They look at the class, its parameters and its refusals only. Keep in step with docs/predict.md.
WITHOUT_ROWS = (
    "check_estimator_cloneable",
    "check_estimator_tags_renamed",
    "check_valid_tag_types",
    "check_estimator_repr",
    "check_no_attributes_set_in_init",
    "check_estimators_unfitted",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_mixin_order",
    "check_parameters_default_constructible",
    "check_get_params_invariance",
    "check_set_params",
    "check_estimator_sparse_tag",
    "check_estimator_sparse_array",
    "check_estimator_sparse_matrix",
    "check_complex_data",
    "check_fit1d",
    "check_requires_y_none",
    "check_classifiers_regression_target",
    "check_supervised_y_no_nan",
)
NOT_APPLICABLE = {
    "check_array_api_input": "arrays go through Pillow, so they are numpy's",
    "check_estimators_partial_fit_n_features": "there is no partial_fit",
    "check_non_transformer_estimators_n_iter": "there is no max_iter",
    "check_decision_proba_consistency": "there is no decision_function",
    "check_classifiers_one_label_sample_weights": "there is no sample_weight",
}


class SaysItTakesRows(FewShotClassifier):
    """Without this tag scikit-learn makes no checks at all."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


class OfRows(SaysItTakesRows):
    """Draws a picture of every row."""

    def fit(self, X: Any, y: Any) -> "OfRows":
        X, y = validate_data(self, X, y)
        return super().fit(drawn(X), y)

    def _predictions(self, X: Any) -> Any:
        check_is_fitted(self)
        return super()._predictions(drawn(validate_data(self, X, reset=False)))


def drawn(rows: NDArray[Any]) -> NDArray[np.float64]:  # [n, d] -> [n, SIDE, SIDE]
    """A stripe a number, the brighter the larger it is."""
    brightness = 1 / (1 + np.exp(-np.clip(rows.astype(np.float64) / 2, -50, 50)))[:, : SIDE * SIDE]
    stripe = SIDE * SIDE // brightness.shape[1]
    pixels = np.zeros((len(rows), SIDE * SIDE))
    pixels[:, : stripe * brightness.shape[1]] = np.repeat(brightness, stripe, axis=1)
    return pixels.reshape(-1, SIDE, SIDE)


def name_of(check: Any) -> str:
    return getattr(check, "func", check).__name__


@pytest.mark.filterwarnings("ignore::RuntimeWarning:sklearn")
@parametrize_with_checks([OfRows(**OPTIONS)])
def test_on_pictures_of_rows(estimator: BaseEstimator, check: Any) -> None:
    if name_of(check) in NOT_APPLICABLE:
        pytest.skip(NOT_APPLICABLE[name_of(check)])
    check(estimator)


@pytest.mark.filterwarnings("ignore::RuntimeWarning:sklearn")
@pytest.mark.parametrize("name", WITHOUT_ROWS)
def test_on_the_classifier_itself(name: str) -> None:
    checks = [check for check in all_checks() if name_of(check) == name]
    assert checks
    for check in checks:
        check(SaysItTakesRows(**OPTIONS))


def all_checks() -> list[Any]:
    return [check for _, check in estimator_checks_generator(SaysItTakesRows(**OPTIONS))]


def test_by_its_own_tags_the_classifier_takes_no_rows() -> None:
    with pytest.warns(SkipTestWarning, match="requires input"):
        names = [name_of(check) for _, check in estimator_checks_generator(FewShotClassifier(**OPTIONS))]
    assert names == ["check_estimator_cloneable"]
