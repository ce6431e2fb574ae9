"""docs/hyperparameters.md is generated from the dataclass."""

from scripts import update_docs


def test_page_is_up_to_date() -> None:
    assert update_docs.PAGE.read_text("utf-8") == update_docs.render(), "run scripts/update_docs.py"
