"""Every mistake is one clear line and exit code 2, before any training; nothing is left half-written."""

import shutil
from pathlib import Path

import pytest

from fewshot_sla.cli.door import run_door
from fewshot_sla.runs import checkpoint
from tests.integration import doors

SLA = "--objective=fewshot_sla.meta.SLA"

MISTAKES = {
    "mistyped key": (["--seedd=1"], "unknown key 'seedd'; did you mean 'seed'?"),
    "mistyped nested key": (["--train.kshot=1"], "unknown key 'kshot' in train; did you mean 'k_shot'?"),
    "mistyped argument of a class": (["--learner.backbone.chanels=8"], "did you mean 'channels'?"),
    "mistyped class": (["--learner.head=fewshot_sla.heads.RidgeHed"], "did you mean 'RidgeHead'?"),
    "class without a path": (["--learner.head=MyHead"], "MyHead is not a known class; give its path"),
    "module that is not there": (["--learner.head=nowhere.MyHead"], "No module named 'nowhere'"),
    "class of the wrong kind": (["--learner.head=fewshot_sla.meta.Plain"], "is not a Head"),
    "value of the wrong type": (["--seed=abc"], "seed: Expected a int"),
    "no such config": (["--config=nowhere.yaml"], "nowhere.yaml"),
    "class with too few images": (["--train.k_shot=9"], "train class 0 has 10"),
    "more ways than classes": (["--train.n_way=9"], "needs 9 classes, there are 8"),
    "one way": (["--train.n_way=1"], "n_way must be at least 2, got 1"),
    "too few images in val": (["--validation.k_shot=9"], "tiny/val"),
    "rotation of oblong images": (
        [SLA, "--objective.transformations=episodes.Rotation", "--data.width=20"],
        "rotation by 90 degrees needs square images, these are 16x20",
    ),
    "colours of grey images": (
        [SLA, "--objective.transformations=episodes.ColorPermutation"],
        "colour permutation needs images with 3 channels, these have 1",
    ),
    "channels": (["--data.channels=3"], "set backbone in_channels to 3"),
    "images too small": (["--data.height=8", "--data.width=8"], "at least 16x16"),
    "no validation": (["--validation_episodes=0"], "validation_episodes must be at least 1"),
    "no episodes": (["--episodes_per_forward=0"], "episodes_per_forward must be at least 1"),
    "devices below one": (["--devices=-1"], "accelerator"),
    "a head with too few logits": (
        ["--learner.head=tests.integration.plugins.TooFewLogits"],
        "the learner must give logits",
    ),
    "a head of nothing but NaN": (["--learner.head=tests.integration.plugins.NotANumber"], "NaN or infinite logits"),
    "a loss that does not know of mixtures": (
        [
            "--objective=tests.integration.plugins.OnlyTheFirstLabelOfQueries",
            "--augmentation=episodes.images.augmentation.Mixup",
        ],
        "OnlyTheFirstLabelOfQueries cannot take mixtures of labels",
    ),
    "a schedule that wants figures": (
        [
            "--schedule=fewshot_sla.training.torch_schedule.TorchSchedule",
            "--schedule.scheduler=torch.optim.lr_scheduler.ReduceLROnPlateau",
        ],
        "ReduceLROnPlateau does not go with steps on batches; choose another scheduler",
    ),
    "steps in place of shares": (
        [
            "--schedule=fewshot_sla.training.schedules.PiecewiseConstant",
            "--schedule.milestones=[400]",
            "--schedule.factors=[0.1]",
        ],
        "milestones must be a share of the training, 0 to 1, not a number of steps, got 400",
    ),
    "nothing to resume": (["--resume"], "there is no such folder"),
    "a run folder without a name": (["--run_folder="], "needs a name"),
    "uneven sharing": (["--episodes_per_step=3", "--episodes_per_forward=2"], "must be a multiple"),
    "more processes than cores": (["--devices=5000"], "devices must be at most"),
    "no such device": (["--accelerator=nothing"], "accelerator"),
    "learning rate below zero": (["--optimizer.lr=-1"], "optimizer or schedule: Invalid learning rate"),
    "schedule that makes no sense": (["--schedule.milestones=[1]", "--schedule.factors=[]"], "milestones"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments, words = MISTAKES[name]
    # Transformations that cannot work have to be what fails, so the plain objective is only there without another.
    objective = [] if any("objective" in argument for argument in arguments) else ["--objective=fewshot_sla.meta.Plain"]
    assert doors.train(tmp_path / "run", *objective, *arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("seedd: 1\n", "unknown key 'seedd'; did you mean 'seed'?"),
        ("train: {n_way: 5, kshot: 1, n_query: 3}\n", "unknown key 'kshot' in train; did you mean 'k_shot'?"),
        ("learner: {init_args: {head: {class_path: fewshot_sla.heads.Hed}}}\n", "unknown class 'Hed'"),
        ("train: [1\n", "config"),
    ],
)
def test_a_mistake_in_a_file_is_one_line(
    text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    assert run_door(doors.meta_train.main, ["--config", str(path), f"--run_folder={tmp_path / 'run'}"]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "run"
    assert doors.train(folder, "--objective=fewshot_sla.meta.Plain") == 0
    return folder


def expect(code: int, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    error = capsys.readouterr().err
    assert code == 2
    assert words in error
    assert error.splitlines()[-1].startswith("error: ")


def test_a_folder_that_holds_a_run(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}
    expect(doors.train(trained), "already holds a run", capsys)
    assert before == {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}


def test_a_folder_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    expect(doors.train(tmp_path / "file" / "run"), "cannot be written", capsys)


def test_resuming_by_another_recipe(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expect(doors.train(trained, "--resume", "--seed=5"), "began with another", capsys)


def test_resuming_to_fewer_steps_than_were_made(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (trained / "config.yaml").read_text()
    expect(doors.train(trained, "--resume", "--objective=fewshot_sla.meta.Plain", steps=2), "4 steps already", capsys)
    assert (trained / "config.yaml").read_text() == before


@pytest.mark.parametrize("name", ["best.safetensors"])
def test_testing_with_a_damaged_checkpoint(
    trained: Path, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = _copy(trained, tmp_path)
    (copy / name).write_bytes((copy / name).read_bytes()[:1000])
    expect(doors.run_test(copy), "damaged or cut off", capsys)


def test_resuming_from_a_damaged_checkpoint(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = _copy(trained, tmp_path)
    (copy / "last.safetensors").write_bytes((copy / "last.safetensors").read_bytes()[:1000])
    code = run_door(doors.meta_train.main, ["--resume", f"--run_folder={copy}"])
    expect(code, "damaged or cut off", capsys)


def test_a_checkpoint_of_another_model(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = _copy(trained, tmp_path)
    tensors, state = checkpoint.load_checkpoint(copy / "best.safetensors")
    del tensors["model.head.scale"]
    checkpoint.save_checkpoint(copy / "best.safetensors", tensors, state)
    expect(doors.run_test(copy), "of another model: it lacks head.scale", capsys)


def test_testing_what_is_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expect(doors.run_test(tmp_path / "nothing"), "there is no such folder", capsys)
    expect(doors.run_test(tmp_path), "holds no run", capsys)


def test_testing_with_impossible_episodes(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (trained / "results.json").read_bytes()
    expect(doors.run_test(trained, "--k_shot", "1", "50"), "needs 53 images of every class", capsys)
    expect(doors.run_test(trained, "--n_way=9"), "there are 8", capsys)
    expect(doors.run_test(trained, "--episodes=0"), "episodes must be at least 1", capsys)
    expect(doors.run_test(trained, "--split=nothing"), "nothing", capsys)
    expect(doors.run_test(trained, "--n_wai=5"), "did you mean 'n_way'?", capsys)
    assert (trained / "results.json").read_bytes() == before


def test_damaged_results(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = _copy(trained, tmp_path)
    assert doors.run_test(copy) == 0
    capsys.readouterr()
    (copy / "results.json").write_text('{"results": [')
    expect(doors.compare_runs(str(copy), str(trained)), "results.json: the file is damaged", capsys)


def test_a_loss_that_becomes_nan_names_step_and_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    code = doors.train(folder, "--optimizer=torch.optim.SGD", "--optimizer.lr=1e30", steps=40)
    expect(code, "the loss is not finite at step", capsys)


def _copy(source: Path, target: Path) -> Path:
    return Path(shutil.copytree(source, target / "copy"))
