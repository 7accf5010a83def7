"""FewShotClassifier among scikit-learn's tools."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, LeaveOneOut, StratifiedKFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from episodes import Rotation
from episodes.errors import UserError
from fewshot_sla.heads import ProtoNetHead, RidgeHead
from fewshot_sla.prediction.classifier import FewShotClassifier
from fewshot_sla.prediction.foreign import ForeignNetwork
from tests.fewshot_sla.prediction import small
from tests.fewshot_sla.prediction.networks import Pixels, TimmLike

NETWORKS = "tests.fewshot_sla.prediction.networks"
ROOT = Path(__file__).parents[3]


def own(**options) -> FewShotClassifier:
    """A Conv-4 with random weights, by class path: seeded, so that it is the same each time."""
    model = ForeignNetwork("fewshot_sla.backbones.Conv4", {"in_channels": 1, "channels": 8}, image_size=28)
    return FewShotClassifier(**{"model": model, "transformations": Rotation(), "device": "cpu", **options})


def patterns() -> tuple[list[np.ndarray], list[str]]:
    pictures, labels = small.pictures(3, 6)
    return [picture[0] for picture in pictures], [f"class {label}" for label in labels]


@pytest.fixture(scope="session")
def photographs(real_data: Path) -> tuple[list[Path], np.ndarray]:
    """Real images of five classes, six a class, as paths."""
    folder = real_data / "mini_imagenet_sample"
    rows = [line.split(",") for line in (folder / "test.csv").read_text().splitlines()[1:]]
    classes = sorted({label for _, label in rows})[:5]
    chosen = [(folder / "images" / name, label) for name, label in rows if label in classes]
    return [path for path, _ in chosen], np.array([label for _, label in chosen])


def test_three_lines() -> None:
    pictures, labels = patterns()
    classifier = own().fit(pictures, labels)
    assert classifier.classes_.tolist() == ["class 0", "class 1", "class 2"]
    shares = classifier.predict_proba(pictures)
    assert shares.shape == (18, 3)
    assert np.allclose(shares.sum(axis=1), 1)
    assert classifier.predict(pictures).tolist() == classifier.classes_[shares.argmax(axis=1)].tolist()
    assert classifier.score(pictures, labels) == np.mean(classifier.predict(pictures) == np.array(labels))
    assert set(np.unique(classifier.agreement(pictures) * 4)) <= {0, 1, 2, 3, 4}


@pytest.mark.parametrize("labels", [[7, 7, -2, -2], ["b", "b", "a", "a"], [True, True, False, False]])
def test_labels_keep_their_type(labels: list) -> None:
    pictures = patterns()[0]
    chosen = [pictures[0], pictures[1], pictures[6], pictures[7]]
    classifier = own().fit(chosen, labels)
    assert classifier.classes_.tolist() == sorted(set(labels))
    assert classifier.predict(chosen).dtype == np.array(labels).dtype


def test_every_guise_of_the_pictures_gives_the_same() -> None:
    pictures, labels = patterns()
    stack = np.stack(pictures)
    expected = own().fit(pictures, labels).predict_proba(pictures)
    for given in (stack, stack[..., None], stack / 255, torch.tensor(stack), [Image.fromarray(p) for p in pictures]):
        classifier = own().fit(given, labels)
        assert np.array_equal(classifier.predict_proba(given), expected)


def test_leaving_one_out_is_cross_validation_with_one_fold_a_picture() -> None:
    pictures, labels = patterns()
    classifier = own().fit(pictures, labels)
    accuracy, (low, high) = classifier.leave_one_out()
    folds = cross_val_predict(own(), pictures, labels, cv=LeaveOneOut())
    assert accuracy == np.mean(folds == np.array(labels))
    assert low < accuracy < high or accuracy in (low, high)


def test_cross_validation_clones_and_pipelines() -> None:
    pictures, labels = patterns()
    scores = cross_val_score(own(), pictures, labels, cv=StratifiedKFold(3))
    by_hand = []
    for train, test in StratifiedKFold(3).split(pictures, labels):
        fitted = clone(own()).fit([pictures[row] for row in train], [labels[row] for row in train])
        by_hand.append(fitted.score([pictures[row] for row in test], [labels[row] for row in test]))
    assert scores.tolist() == by_hand
    pipeline = make_pipeline(FunctionTransformer(lambda given: [255 - picture for picture in given]), own())
    direct = own().fit([255 - picture for picture in pictures], labels)
    pipeline.fit(pictures, labels)
    assert np.array_equal(
        pipeline.predict_proba(pictures), direct.predict_proba([255 - picture for picture in pictures])
    )
    assert len(cross_val_score(pipeline, pictures, labels, cv=3)) == 3
    copied = clone(own(head=RidgeHead(regularization=3.0)))
    assert copied.get_params()["head"].regularization == 3.0
    assert not hasattr(copied, "classes_")


def test_a_grid_search_over_heads() -> None:
    pictures, labels = patterns()
    heads = [ProtoNetHead(), RidgeHead(regularization=5.0)]
    search = GridSearchCV(own(), {"head": heads, "inference": ["single", "aggregated"]}, cv=3, error_score="raise")
    search.fit(pictures, labels)
    assert len(search.cv_results_["params"]) == 4
    assert search.best_estimator_.predict(pictures).shape == (18,)
    with torch.no_grad():
        assert float(heads[0].scale) == 1


def test_pickles_predict_the_same() -> None:
    pictures, labels = patterns()
    pixels = ForeignNetwork(Pixels(), channels=1, image_size=28)
    for options in ({}, {"model": pixels}, {"head": RidgeHead(), "inference": "single"}):
        classifier = own(**options).fit(pictures, labels)
        again = pickle.loads(pickle.dumps(classifier))
        assert np.array_equal(again.predict_proba(pictures), classifier.predict_proba(pictures))
        assert again.leave_one_out() == classifier.leave_one_out()


def test_pickles_predict_the_same_in_another_process(tmp_path: Path) -> None:
    pictures, labels = patterns()
    classifier = own().fit(pictures, labels)
    expected = classifier.predict_proba(pictures)
    (tmp_path / "it.pickle").write_bytes(pickle.dumps(classifier))
    np.save(tmp_path / "pictures.npy", np.stack(pictures))
    code = (
        "import pickle, sys, numpy, torch; torch.set_num_threads(1); folder = sys.argv[1]\n"
        "classifier = pickle.load(open(folder + '/it.pickle', 'rb'))\n"
        "numpy.save(folder + '/found.npy', classifier.predict_proba(numpy.load(folder + '/pictures.npy')))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=True)
    assert np.array_equal(np.load(tmp_path / "found.npy"), expected)


@pytest.mark.parametrize("labels", [[3, 3, 5, 5], ["x", "x", "ÿ", "ÿ"], np.array([0.0, 0.0, 1.0, 1.0])])
def test_saved_and_loaded_it_predicts_the_same(labels, tmp_path: Path) -> None:
    pictures = [patterns()[0][row] for row in (0, 1, 6, 7)]
    classifier = own(head=RidgeHead(), invert="yes", framing="stretch").fit(pictures, labels)
    classifier.save(tmp_path / "it.safetensors")
    again = FewShotClassifier.load(tmp_path / "it.safetensors", device="cpu")
    given = patterns()[0]
    assert np.array_equal(again.predict_proba(given), classifier.predict_proba(given))
    assert np.array_equal(again.predict(given), classifier.predict(given))
    assert again.classes_.dtype == classifier.classes_.dtype
    assert again.leave_one_out() == classifier.leave_one_out()
    assert again.inverted_


def test_loaded_it_is_fitted_anew_with_its_own_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures, labels = [patterns()[0][row] for row in (0, 1, 6, 7)], ["a", "a", "b", "b"]
    classifier = own(head=RidgeHead(regularization=3.0)).fit(pictures, labels)
    classifier.save(tmp_path / "it.safetensors")
    monkeypatch.chdir(tmp_path)  # where there is no run that could be taken instead
    again = clone(FewShotClassifier.load(tmp_path / "it.safetensors", device="cpu"))
    given = patterns()[0]
    assert np.array_equal(again.fit(pictures, labels).predict_proba(given), classifier.predict_proba(given))


def test_what_yields_pictures_is_a_list_of_them(tmp_path: Path) -> None:
    pictures, labels = [patterns()[0][row] for row in (0, 1, 6, 7)], ["a", "a", "b", "b"]
    classifier = own().fit(iter(pictures), labels)
    assert np.array_equal(classifier.predict(iter(pictures)), classifier.predict(pictures))


def test_a_picture_that_breaks_while_it_is_decoded_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(image: Image.Image) -> None:  # what Pillow's reader of PNG raises for a chunk that is none
        raise SyntaxError("broken PNG file")

    picture = Image.fromarray(np.zeros((9, 9), np.uint8))
    monkeypatch.setattr(Image.Image, "load", load)
    with pytest.raises(UserError, match=r"^picture 0: broken PNG file$"):
        own().fit([picture, picture], ["a", "b"])


def test_the_given_network_and_head_stay_as_they_are() -> None:
    pictures, labels = patterns()
    network, head = TimmLike(in_chans=1), RidgeHead()
    own(model=ForeignNetwork(network, channels=1, image_size=28), head=head).fit(pictures, labels).predict(pictures)
    assert isinstance(network.head, torch.nn.Linear)
    assert network.training
    assert head.training


def test_features_are_kept_where_it_is_told(tmp_path: Path) -> None:
    pictures, labels = patterns()
    expected = own().fit(pictures, labels).predict_proba(pictures)
    for _ in range(2):
        classifier = own(cache_folder=tmp_path / "kept").fit(pictures, labels)
        assert np.array_equal(classifier.predict_proba(pictures), expected)
    assert len(list((tmp_path / "kept").iterdir())) == 1


def test_mistakes_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pictures, labels = patterns()
    cases = {
        "there are 17 pictures but 18 labels": lambda: own().fit(pictures[1:], labels),
        "there is only one class ('a'): at least two are needed to tell apart": lambda: own().fit(pictures, ["a"] * 18),
        "invert must be one of auto, yes, no, got 'maybe'": lambda: own(invert="maybe").fit(pictures, labels),
        f"there is no run of meta_train under {tmp_path / 'runs'}; make one with make run, or name a run folder": (
            lambda: FewShotClassifier().fit(pictures, labels)
        ),
        "x: there is no such folder; give the run folder of a finished or stopped training": lambda: FewShotClassifier(
            "x"
        ).fit(pictures, labels),
        "an array of shape [18, 784] is no stack of pictures (rows of features are none): reshape it to [n, H, W] or "
        "[n, H, W, C]": lambda: own().fit(np.stack(pictures).reshape(18, -1), labels),
        "every class has a single picture: none can be left out": lambda: (
            own().fit([pictures[0], pictures[6]], ["a", "b"]).leave_one_out()
        ),
    }
    for message, act in cases.items():
        with pytest.raises(UserError) as error:
            act()
        assert str(error.value) == message
    with pytest.raises(NotFittedError):
        own().save("x")


@pytest.mark.real_data
def test_real_photographs(photographs: tuple[list[Path], np.ndarray], tmp_path: Path) -> None:
    """Paths of JPEG files, a colour network given by class path, and all the tools at once."""
    paths, labels = photographs
    network = ForeignNetwork(f"{NETWORKS}.TimmLike", image_size=64)
    classifier = FewShotClassifier(network, transformations=Rotation(), device="cpu")
    scores = cross_val_score(classifier, paths, labels, cv=StratifiedKFold(3))
    as_images = [Image.open(path) for path in paths]
    assert cross_val_score(classifier, as_images, labels, cv=StratifiedKFold(3)).tolist() == scores.tolist()
    pipeline = make_pipeline(FunctionTransformer(), clone(classifier)).fit(paths, labels)
    expected = clone(classifier).fit(paths, labels).predict_proba(paths)
    assert np.array_equal(pipeline.predict_proba(paths), expected)
    assert np.array_equal(pickle.loads(pickle.dumps(pipeline)).predict_proba(paths), expected)
    pipeline[-1].save(tmp_path / "it.safetensors")
    assert np.array_equal(FewShotClassifier.load(tmp_path / "it.safetensors").predict_proba(paths), expected)
    assert pipeline.score(paths, labels) > 0.3  # on its own support, with random weights; chance is 0.2
