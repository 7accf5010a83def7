"""What README shows is what happens."""

import re
import shlex

import pytest

from fewshot_sla.cli import configuration
from fewshot_sla.cli.door import run_door
from fewshot_sla.meta.kind import META
from fewshot_sla.meta.recipe import MetaTraining
from tests.integration import doors

README = (doors.ROOT / "README.md").read_text()


def test_the_library_example_trains() -> None:
    code = re.search(r"## As a library\n\n```python\n(.*?)```", README, re.DOTALL)[1]
    code = code.replace("range(100)", "range(2)")
    names: dict = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["loss"].isfinite()
    assert names["episodes"].ways == 20


def test_every_linked_file_exists() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert (doors.ROOT / link).exists(), link


@pytest.mark.parametrize(
    "command", re.findall(r"^python -m fewshot_sla\.meta_train (.*?)(?:\s+#.*)?$", README, re.MULTILINE)
)
def test_every_training_command_is_understood(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(doors.ROOT)
    parser = META.parser()
    configuration.instantiate(parser, configuration.parse(parser, shlex.split(command)), MetaTraining)


def test_the_example_head_trains_from_its_yaml(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(doors.ROOT)
    arguments = ["--config=examples/my_head.yaml", f"--run_folder={tmp_path / 'run'}", *doors.TINY, "--loop.steps=2"]
    assert run_door(doors.meta_train.main, arguments) == 0
    assert "examples.my_head.CosineHead" in (tmp_path / "run/config.yaml").read_text()
