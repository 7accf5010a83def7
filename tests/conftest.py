"""What holds for every test: one thread, a cache of its own, repeatable examples; and where real images are."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

REAL_DATA = "FEWSHOT_SLA_REAL_DATA"

# No deadline: a busy machine is not a failure. The same examples every time, unless one goes exploring with
# HYPOTHESIS_PROFILE=explore.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Tests are many small problems: with more than one thread the threads mostly wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")  # for the processes that tests start
        yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True, scope="session")
def cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests neither read nor write the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        base = tmp_path_factory.getbasetemp()
        shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base  # by all workers: letters are drawn once
        patch.setenv("FEWSHOT_SLA_CACHE", str(shared / "cache"))
        yield


@pytest.fixture(autouse=True, scope="session")
def seldom_collected() -> Iterator[None]:
    """What stays for the whole session is not looked through again and again for garbage."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images, which are no part of the project."""
    folder = Path(os.environ.get(REAL_DATA) or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"needs real images, and there is no folder {folder}; set {REAL_DATA} to where they are")
    return folder
