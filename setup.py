"""What the package needs, with lower bounds only; tool settings stand in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

EXTRAS = {
    # qpth and learn2learn need numpy < 2 or a special build (see requirements.txt), so the package works without them.
    "qpth": ["qpth>=0.0.18"],
    "learn2learn": ["learn2learn>=0.2.0"],
    "test": [
        "cvxpy",
        "hypothesis>=6.100",
        "mypy>=1.10",
        "pytest>=8",
        "pytest-xdist>=3.5",
        "ruff>=0.5",
        "types-PyYAML",
    ],
    "benchmark": ["cvxpylayers<1", "diffcp<1.1.5", "easyfsl>=1.5", "pandas<3", "proxsuite"],
}

setup(
    name="fewshot-sla",
    version="0.1.0",
    description="Few-shot meta-learning with self-supervised label augmentation (SLA)",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    packages=find_packages(include=["fewshot_sla", "fewshot_sla.*", "episodes", "episodes.*"]),
    package_data={
        "fewshot_sla": ["py.typed"],
        "fewshot_sla.prediction.page": ["*.css"],
        "episodes": ["py.typed"],
        "episodes.datasets.layouts.class_lists": ["*.json"],
    },
    install_requires=[
        "fonttools>=4.40",
        "jsonargparse[signatures]>=4.49",
        "kornia>=0.7",
        "lightning-fabric>=2.4",
        "matplotlib>=3.8",
        "numpy>=1.26",
        "pillow>=10",
        "pyyaml>=6",
        "rich>=13",
        "safetensors>=0.4",
        "scikit-learn>=1.6",
        "scipy>=1.11",
        "tensorboard>=2.14",
        "torch>=2.4",
        "torchvision>=0.19",
    ],
    extras_require=EXTRAS,
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
