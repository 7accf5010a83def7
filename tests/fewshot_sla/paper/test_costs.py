"""What a training costs, counted by hand for small networks."""

import json
from pathlib import Path

import pytest

from fewshot_sla.classification.kind import CLASSIFICATION
from fewshot_sla.cli.recipes import resolve
from fewshot_sla.meta.kind import META
from fewshot_sla.paper.costs import Costs, flops_per_image, flops_per_step, images_per_step, views
from fewshot_sla.paper.recipe_of_run import resolved_recipe
from fewshot_sla.runs.checkpoint import save_checkpoint

CONVNET = {"class_path": "fewshot_sla.backbones.ConvNet", "init_args": {"in_channels": 1, "channels": 4, "blocks": 2}}
# 3x3 convolutions, two operations a multiply-add: 1 to 4 channels on 16x16 pixels, then 4 to 4 on 8x8.
BY_HAND = 2 * 9 * 1 * 4 * 16 * 16 + 2 * 9 * 4 * 4 * 8 * 8


def test_operations_of_one_image() -> None:
    assert flops_per_image(CONVNET, (1, 16, 16)) == BY_HAND
    resnet = {"class_path": "fewshot_sla.backbones.ResNetImageNet", "init_args": {"in_channels": 3}}
    # torchvision's own table: 1.814 GMAC for 1,000 classes; the last layer, 512 x 1000, is not the backbone's.
    assert flops_per_image(resnet, (3, 224, 224)) / 2 == pytest.approx(1.814e9 - 512_000, rel=1e-3)


def test_a_step_is_all_images_in_all_views() -> None:
    digits = resolved_recipe(CLASSIFICATION, "digits+sla")  # 50 images of 16x16, 4 rotations, widths 1-32-32-32
    widths, sides = [(1, 32), (32, 32), (32, 32)], [16, 8, 4]
    one = sum(2 * 9 * before * after * side**2 for (before, after), side in zip(widths, sides, strict=True))
    assert flops_per_step(digits, (1, 16, 16)) == 50 * 4 * one


@pytest.mark.parametrize(
    ("kind", "word", "images", "m"),
    [
        (META, "cifarfs+protonet+sla", 8 * 5 * (5 + 6), 4),
        (META, "miniimagenet+ridge", 8 * 5 * (15 + 6), 1),
        (CLASSIFICATION, "cub200+sla+rotation4_color6", 32, 24),
        (CLASSIFICATION, "cifar100+mt", 128, 4),
    ],
)
def test_images_and_views_of_a_recipe(kind, word: str, images: int, m: int) -> None:
    recipe = resolved_recipe(kind, word)
    assert (images_per_step(recipe), views(recipe)) == (images, m)
    assert recipe["loop"]["steps"] == resolve(word, kind.wing)["loop"]["steps"]


def timed(folder: Path, word: str, seconds: float, steps: int, device: str) -> None:
    """What a finished training leaves, as far as its time goes."""
    folder.mkdir(parents=True)
    training = {"steps": steps, "device": {"type": "cuda", "name": device, "processes": 1, "threads": 4}}
    recipe = resolved_recipe(CLASSIFICATION, word)
    document = {"wall_time_s": {"training": seconds}, "training": training, "configuration": recipe}
    (folder / "results.json").write_text(json.dumps(document))
    save_checkpoint(folder / "best.safetensors", {}, {"image_shape": [3, 32, 32]})


def test_hours_go_by_the_nearest_training_that_was_timed(tmp_path: Path) -> None:
    recipe = resolved_recipe(CLASSIFICATION, "cifar100+sla")
    shape = (3, 32, 32)
    assert Costs(tmp_path).of(recipe, shape, 80000).hours is None
    timed(tmp_path / "network/seed0", "cifar10+baseline", seconds=3600, steps=1000, device="slow")
    cost = Costs(tmp_path).of(recipe, shape, 80000)  # four views of a step: 4 h for 1000 steps
    assert (cost.hours, cost.device) == (pytest.approx(4 * 80), "slow")
    timed(tmp_path / "base/seed0", "cifar100+baseline", seconds=360, steps=1000, device="fast")
    cost = Costs(tmp_path).of(recipe, shape, 80000)
    assert (cost.hours, cost.device) == (pytest.approx(0.4 * 80), "fast")
    timed(tmp_path / "recipe/seed3", "cifar100+sla", seconds=7200, steps=1000, device="this")
    assert Costs(tmp_path).of(recipe, shape, 8000).hours == pytest.approx(2 * 8)
    assert Costs(tmp_path).of(resolved_recipe(CLASSIFICATION, "digits"), (1, 16, 16), 800).hours is None
    (tmp_path / "recipe/seed3/results.json").write_text("{")  # damaged: as if it were not there
    assert Costs(tmp_path).of(recipe, shape, 80000).device == "fast"
