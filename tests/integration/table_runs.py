"""A table of our own on tiny images, and the door that prints it, run in this process."""

import contextlib
import io
from pathlib import Path
from typing import NamedTuple

import yaml

from fewshot_sla import table
from fewshot_sla.cli.door import run_door
from tests.tiny import TinyClasses

CLASSIFIER = {
    "data": {"class_path": "tests.integration.table_runs.TinyAt", "init_args": {"root": "here"}},
    "backbone": {
        "class_path": "fewshot_sla.backbones.ConvNet",
        "init_args": {"in_channels": 1, "channels": 4, "blocks": 2},
    },
    "objective": {"class_path": "fewshot_sla.classification.Baseline"},
    "batch_size": 8,
    "optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.05}},
    "loop": {"steps": 20, "validate_every": 100, "log_every": 10},
    "keep": "last",
    "accelerator": "cpu",
}
LEARNER = {
    "data": {"class_path": "tests.tiny.TinyImages", "init_args": {"per_class": 20}},
    "learner": {
        "class_path": "fewshot_sla.meta.EmbeddingLearner",
        "init_args": {
            "backbone": {"class_path": "fewshot_sla.backbones.Conv4", "init_args": {"in_channels": 1, "channels": 4}},
            "head": {"class_path": "fewshot_sla.heads.ProtoNetHead"},
        },
    },
    "objective": {"class_path": "fewshot_sla.meta.Plain"},
    "train": {"n_way": 5, "k_shot": 1, "n_query": 3},
    "validation": {"n_way": 5, "k_shot": 1, "n_query": 3},
    "validation_episodes": 2,
    "loop": {"steps": 4, "validate_every": 100, "log_every": 2},
    "accelerator": "cpu",
}


class TinyAt(TinyClasses):
    """The same classes, with other images in every folder.

    Args:
        root: what takes the place of a folder; as with files, the name does not say what lies there.
    """

    def __init__(self, root: str) -> None:
        super().__init__(per_class=12 if root == "here" else 11)


class Printed(NamedTuple):
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str


def table_file(folder: Path) -> Path:
    """Tables of accuracies that nobody published, and the recipes for them."""
    for name, recipe in (("pictures", CLASSIFIER), ("episodes", LEARNER)):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(recipe))
    own = {
        "table": "own table",
        "key": "own",
        "title": "tiny images",
        "source": "nobody",
        "unit": "accuracy, %",
        "data_sets": "columns",
        "columns": {"Tiny": {"recipe": str(folder / "pictures.yaml")}},
        "rows": {
            "Baseline": {"recipe": "baseline", "inference": "single", "values": [50.0]},
            "SLA+AG": {"recipe": "sla", "inference": "aggregated", "over": "Baseline", "values": [60.0]},
            "IE": {"recipe": "baseline", "inference": "single", "models": 3, "over": "Baseline", "values": [55.0]},
            "ten crops": {"recipe": "baseline", "inference": "single", "crops": 10, "values": [52.0]},
            "quoted": {"values": [70.0]},
        },
    }
    columns = {f"Tiny, {k} shot": {"recipe": str(folder / "episodes.yaml"), "k_shot": k, "digits": 1} for k in (1, 5)}
    few_shot = {
        **own,
        "table": "few-shot table",
        "key": "few",
        "columns": columns,
        "rows": {
            "ProtoNet": {"recipe": "protonet", "inference": "single", "values": [[50.0, 0.5], [60.0, 0.4]]},
            "RR": {"recipe": "ridge+plain", "inference": "single", "values": [[51.0, 0.5], None]},
        },
    }
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump({"tables": [own, few_shot]}, sort_keys=False))
    return path


def run_table(*arguments: str | Path) -> Printed:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run_door(table.main, ["--workers=1", *map(str, arguments)])
    return Printed(code, out.getvalue(), err.getvalue())
