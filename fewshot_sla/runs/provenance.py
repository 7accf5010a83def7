"""Where a result comes from: versions, device, and how long it took."""

import importlib.metadata
import platform
from typing import Any

import torch

_PACKAGES = (
    "torch",
    "torchvision",
    "lightning-fabric",
    "numpy",
    "scipy",
    "qpth",
    "learn2learn",
    "pillow",
    "scikit-learn",
    "matplotlib",
)


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that can sway a figure; those that are not installed are left out."""
    found = {"python": platform.python_version()}
    for package in ("fewshot-sla", *_PACKAGES):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    found["torch"] = torch.__version__  # says the build too
    return found


def device_facts(device: torch.device, precision: str, processes: int) -> dict[str, Any]:
    """What the figures were computed on."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "type": device.type,
        "name": name,
        "precision": precision,
        "processes": processes,
        "threads": torch.get_num_threads(),
    }
