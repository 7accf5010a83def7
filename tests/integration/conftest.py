"""Pictures take a third of the time of a small training: only the tests that look at them have them drawn."""

import io
from collections.abc import Iterator
from typing import Any

import matplotlib.figure
import pytest
from PIL import Image

_savefig = matplotlib.figure.Figure.savefig


def _blank(figure: matplotlib.figure.Figure, file: io.BufferedIOBase, *, format: str, **options: Any) -> None:
    """A picture of one pixel; of other forms than PNG, the real one."""
    if format == "png":
        Image.new("L", (1, 1)).save(file, "PNG")
    else:
        _savefig(figure, file, format=format, **options)


@pytest.fixture(autouse=True, scope="module")
def blank_pictures(request: pytest.FixtureRequest) -> Iterator[None]:
    """Figures are made up, but not rendered, unless the module says ``LOOKS_AT_PICTURES = True``."""
    with pytest.MonkeyPatch.context() as patch:
        if not getattr(request.module, "LOOKS_AT_PICTURES", False):
            patch.setattr(matplotlib.figure.Figure, "savefig", _blank)
        yield


@pytest.fixture
def real_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this one test does is drawn."""
    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", _savefig)
