"""What users may rely on changes only where everybody sees it: docs/api.md."""

import difflib

from tests.contract.public_api import COMMAND, PAGE, packages, page


def test_the_page_of_public_names_is_up_to_date() -> None:
    shown = PAGE.read_text(encoding="utf-8").splitlines()
    changes = "\n".join(difflib.unified_diff(shown, page().splitlines(), "docs/api.md", "the code", lineterm="", n=0))
    assert not changes, f"what is public has changed; if that is meant, run: {COMMAND}\n{changes}"


def test_what_packages_export_is_there_and_described() -> None:
    missing = [f"{p.__name__}.{name}" for p in packages() for name in p.__all__ if not hasattr(p, name)]
    assert not missing
