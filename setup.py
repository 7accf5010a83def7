"""Where the packages lie, which pyproject.toml cannot say: the recipes stand at the root of a checkout."""

from setuptools import find_namespace_packages, find_packages, setup

RECIPES = ["fewshot_sla.configs", *(f"fewshot_sla.configs.{folder}" for folder in find_namespace_packages("configs"))]

setup(
    packages=[*find_packages(include=["episodes", "episodes.*", "fewshot_sla", "fewshot_sla.*"]), *RECIPES],
    package_dir={"fewshot_sla.configs": "configs"},
)
