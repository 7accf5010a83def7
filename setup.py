"""For tools that look for this file; what the package is and needs stands in pyproject.toml."""

from setuptools import setup

setup()
