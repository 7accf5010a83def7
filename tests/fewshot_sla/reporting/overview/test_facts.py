"""What run folders tell, where somebody edited them."""

from pathlib import Path

import pytest

from episodes.errors import UserError
from fewshot_sla.reporting.overview.facts import read_facts, recipe_of
from fewshot_sla.studies.kinds import kind_of
from tests.fewshot_sla.classification.made_up_runs import made_up_run


def test_a_command_with_an_open_quotation_names_no_recipe() -> None:
    assert recipe_of("python -m fewshot_sla.train --recipe 'digits") == ""


def test_a_configuration_that_is_no_text_is_one_line(tmp_path: Path) -> None:
    run = made_up_run(tmp_path / "run")
    kind = kind_of(run)
    run.config.write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"config\.yaml: not UTF-8 text"):
        read_facts("run", run, kind.parser())
