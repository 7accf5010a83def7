"""What stands beside the figures in results.json: by which configuration, on what device, with which versions."""

from collections.abc import Mapping
from typing import Any

from lightning_fabric import Fabric

from fewshot_sla.runs.provenance import commit, device_facts, versions
from fewshot_sla.training.recipe import Hardware
from fewshot_sla.training.train import Training


def training_details(training: Training, configuration: dict[str, Any]) -> dict[str, Any]:
    """What stands beside the results of a validation at the end of training.

    Args:
        training: what came of it.
        configuration: the resolved configuration.
    """
    return {
        "configuration": configuration,
        "versions": versions(),
        "device": training.device,
        "wall_time_s": {"training": round(training.seconds, 2)},
        "training": {
            "steps": training.steps,
            "best": training.best,
            "versions": versions(),
            "commit": commit(),
            "device": training.device,
        },
    }


def evaluation_details(
    configuration: dict[str, Any], hardware: Hardware, fabric: Fabric, seconds: Mapping[str, float]
) -> dict[str, Any]:
    """What stands beside the results of a test.

    Args:
        configuration: by which the tested run was trained.
        hardware: as asked for.
        fabric: what it ran on.
        seconds: wall time of each test, by its name.
    """
    return {
        "configuration": configuration,
        "versions": versions(),
        "commit": commit(),
        "device": device_facts(fabric.device, hardware.used_precision, fabric.world_size),
        "wall_time_s": {name: round(value, 2) for name, value in seconds.items()},
    }
