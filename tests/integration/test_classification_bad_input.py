"""Every mistake with the companion trainer is one clear line and exit code 2; nothing is left half-written."""

from pathlib import Path

import pytest

from fewshot_sla.cli.door import run_door
from fewshot_sla.runs import checkpoint
from fewshot_sla.runs.folder import RunFolder
from tests.integration import classification_doors as doors
from tests.integration import doors as episodic

SLA = doors.objective("SLA")
BASELINE = doors.objective("Baseline")
AUGMENTATION = "--augmentation=episodes.images.augmentation"

MISTAKES = {
    "mistyped key": ([*BASELINE, "--batchsize=3"], "unknown key 'batchsize'; did you mean 'batch_size'?"),
    "mistyped objective": ([f"--objective={doors.OBJECTIVES}.SLASDD"], "did you mean 'SLASD'?"),
    "few-shot objective": (["--objective=fewshot_sla.meta.SLA"], "is not a ClassificationObjective"),
    "mistyped loss": ([*BASELINE, f"{doors.LOSS}.LDMA"], "did you mean 'LDAM'?"),
    "beta": ([*doors.objective("SLASD"), "--objective.beta=2"], "beta"),
    "temperature": ([*doors.objective("SLASD"), "--objective.temperature=0"], "temperature must be positive"),
    "no batch": ([*BASELINE, "--batch_size=0"], "batch_size must be at least 1, got 0"),
    "uneven passes": ([*BASELINE, "--images_per_forward=3"], "must be a multiple of images_per_forward"),
    "negative passes": ([*BASELINE, "--images_per_forward=-1"], "images_per_forward must not be negative"),
    "keep what": ([*BASELINE, "--keep=first"], "keep"),
    "rotation of oblong images": ([*SLA, "--data.width=20"], "needs square images, these are 16x20"),
    "colours of grey images": (
        [SLA[0], "--objective.transformations=episodes.ColorPermutation"],
        "needs images with 3 channels, these have 1",
    ),
    "channels": ([*BASELINE, "--data.channels=3"], "set backbone in_channels to 3"),
    "images too small": ([*BASELINE, "--data.height=2", "--data.width=2"], "at least 4x4"),
    "a class without images": (
        [*BASELINE, "--data.counts=[12,6,0,2]", f"{doors.LOSS}.LDAM"],
        "LDAM needs training images of every class, but label 2 has 0: give it images or leave the class out "
        "(tiny-classes/train: 'class 2')",
    ),
    "other classes in val": (
        ["--data=tests.tiny.TinyImages", "--backbone.channels=4", *BASELINE],
        "do not hold the same classes (first difference: 'train class 0'); few-shot data goes to python -m "
        "fewshot_sla.meta_train",
    ),
    "no val split": ([*BASELINE, "--data.splits=[train]"], "the split 'val' must not be opened"),
    "learning rate below zero": ([*BASELINE, "--optimizer.lr=-1"], "Invalid learning rate"),
    "warm-up below zero": ([*BASELINE, "--schedule.warmup=-1"], "warmup must not be negative"),
    "weights of all classes from a single image": (
        [*BASELINE, f"{doors.LOSS}.CrossEntropy", doors.REWEIGHTING, f"{doors.REWEIGHTING.split('=')[0]}.beta=1.5"],
        "beta",
    ),
    "a policy on two channels": (
        [*BASELINE, f"{AUGMENTATION}.RandAugment", "--data.channels=2", "--backbone.in_channels=2"],
        "RandAugment is for images with 1 or 3 channels, these have 2",
    ),
    "a level beyond the last": (
        [*BASELINE, f"{AUGMENTATION}.RandAugment", "--augmentation.magnitude=31"],
        "magnitude must be a level, 0 to levels - 1, got 31 with 31 levels",
    ),
    "one image to mix": (
        [*BASELINE, f"{AUGMENTATION}.CutMix", "--batch_size=4", "--images_per_forward=1"],
        "CutMix mixes the images of a batch with one another, and was given a single one; let a pass have two or more",
    ),
    "mixing twice": (
        [
            *SLA,
            f"{AUGMENTATION}.Compose",
            "--augmentation.augmentations=[episodes.images.augmentation.Mixup,episodes.images.augmentation.CutMix]",
        ],
        "labels that are mixed already cannot be mixed again; use one augmentation that mixes",
    ),
    "a loss that does not know of mixtures": (
        ["--objective=tests.integration.plugins.OnlyTheFirstLabel", f"{AUGMENTATION}.Mixup"],
        "OnlyTheFirstLabel cannot take mixtures of labels: its loss of 0 * y + 1 * y' is not that of y'; let it ask",
    ),
    "NaN": (
        [*BASELINE, "--backbone=tests.integration.plugins.NotANumberBackbone"],
        "NaN or infinite before any training",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, words = MISTAKES[name]
    assert doors.train_classifier(tmp_path / "run", *arguments) == 2
    errors = capsys.readouterr().err
    assert words in errors
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_loss_that_explodes_names_the_step_and_the_last_good_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    arguments = (*BASELINE, "--loop.checkpoint_every=1", "--optimizer.lr=1e30")
    assert doors.train_classifier(folder, *arguments) == 2
    assert "the loss is not finite at step" in capsys.readouterr().err


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("baseline") / "run"
    assert doors.train_classifier(folder, *BASELINE, steps=3) == 0
    return folder


def words_of(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    assert doors.run_class_test(*arguments) == 2
    errors = capsys.readouterr().err.splitlines()[-1]
    assert errors.startswith("error: ")
    return errors


def test_aggregation_asked_of_a_model_without_label_augmentation(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = words_of(capsys, run, "--inference=aggregated")
    assert words == f"error: {run}: trained with Baseline, which has no inference 'aggregated'; it has single"


def test_a_missing_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is no such folder" in words_of(capsys, tmp_path / "nowhere")


def test_an_ensemble_of_different_label_sets(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other"
    assert doors.train_classifier(other, *BASELINE, "--data.classes=5", steps=3) == 0
    words = words_of(capsys, run, other)
    assert f"{other}: trained on 5 classes (class 0, class 1, class 2, ...), but tiny-classes/test has 4" in words
    renamed = tmp_path / "renamed"
    assert doors.train_classifier(renamed, *BASELINE, "--data.names=kind", steps=3) == 0
    assert f"{renamed}: trained on 4 classes (kind 0" in words_of(capsys, run, renamed)


def test_an_ensemble_of_different_sizes_of_images(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    assert doors.train_classifier(other, *BASELINE, "--data.height=20", "--data.width=20", steps=3) == 0
    words = words_of(capsys, run, other)
    assert "trained on images of shape [1, 20, 20], but tiny-classes/test has [1, 16, 16]" in words


def test_crops_of_no_padding(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "padding must be at least 1" in words_of(capsys, run, "--ten_crop", "--padding=0")


def test_the_doors_of_both_trainers_tell_their_runs_apart(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert episodic.train(tmp_path / "episodic", steps=2) == 0
    assert "not a run of this version's train but a run of meta_train" in words_of(capsys, tmp_path / "episodic")
    assert episodic.run_test(run) == 2
    assert "runs of python -m fewshot_sla.train are tested with python -m fewshot_sla.test" in capsys.readouterr().err


def test_a_checkpoint_of_another_network(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other"
    assert doors.train_classifier(other, *BASELINE, "--backbone.channels=6", steps=3) == 0
    contents = checkpoint.load_checkpoint(RunFolder(run).best)
    checkpoint.save_checkpoint(RunFolder(other).best, *contents)
    assert "the checkpoint is of another model" in words_of(capsys, other)


def test_a_study_without_seeds_or_with_two_recipes_alike(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert doors.run_study("--seeds=[]") == 2
    assert "seeds must be at least one number" in capsys.readouterr().err
    assert doors.run_study("a/x.yaml+sla", "b/x.yaml+sla", "--folder", str(tmp_path)) == 2
    assert "two recipes have the same name" in capsys.readouterr().err
    assert doors.run_study(str(tmp_path / "none.yaml"), "--folder", str(tmp_path / "s")) == 2
    assert "none.yaml" in capsys.readouterr().err


def test_the_doors_refuse_a_test_by_several_processes(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "leave out --devices" in words_of(capsys, run, "--devices=2")


def test_resuming_with_another_recipe(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from fewshot_sla import train

    assert run_door(train.main, ["--resume", f"--run_folder={run}", "--batch_size=4"]) == 2
    assert "the run began with another 'batch_size'" in capsys.readouterr().err
