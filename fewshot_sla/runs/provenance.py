"""Where a result comes from: versions, device, and how long it took."""

import importlib.metadata
import platform
import shutil
import subprocess
from pathlib import Path
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


def commit() -> str:
    """The commit of the checkout that this program runs from, ``-dirty`` if changed since; "" if unknown."""
    checkout = Path(__file__).parents[2]
    git = shutil.which("git")
    if git is None or not (checkout / ".git").exists():  # an installed package, perhaps inside another's repository
        return ""
    command = [git, "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (subprocess.SubprocessError, OSError):  # no repository of a git that is here
        return ""


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
