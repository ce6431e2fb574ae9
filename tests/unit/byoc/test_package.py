"""The model package that MODEL_PACKAGE names."""

from pathlib import Path

import pytest

from byoc.errors import PackageError
from byoc.package import import_package, package_name


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_variable_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_PACKAGE", "tests.support.toy")
    assert package_name() == "tests.support.toy"
    assert import_package().csv_fields == ("answer", "length")


def test_default_package_is_sentiment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODEL_PACKAGE", raising=False)
    assert package_name() == "sentiment"


def test_optional_members_have_defaults(folder: Path) -> None:
    (folder / "minimal.py").write_text("Hyperparameters = train = load = None")
    package = import_package("minimal")
    assert (package.distributed, package.text_fields, package.plain_field) == (False, ("text",), None)
    assert package.check(folder, "training", None) == ""


def test_default_upload_skips_hidden_files(folder: Path) -> None:
    (folder / "minimal2.py").write_text("Hyperparameters = train = load = None")
    data = folder / "data"
    for name in (".hidden", "_hidden", "a", "sub/b"):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).touch()
    files = import_package("minimal2").upload_files(data, "training")
    assert [path.relative_to(data).as_posix() for path in files] == ["a", "sub/b"]


@pytest.mark.parametrize("name", ["nowhere_to_be_seen", "nowhere.tfidf", ".x", "a..b", "byoc.x", "."])
def test_unknown_package_is_refused(name: str) -> None:
    with pytest.raises(PackageError, match=f"no package '{name}'"):
        import_package(name)


def test_incomplete_package_lists_missing_members(folder: Path) -> None:
    (folder / "incomplete.py").write_text("train = None")
    with pytest.raises(PackageError, match="lacks Hyperparameters, load; see"):
        import_package("incomplete")


def test_import_error_of_package_is_raised(folder: Path) -> None:
    (folder / "broken.py").write_text("import nowhere_to_be_seen")
    with pytest.raises(ModuleNotFoundError, match="nowhere_to_be_seen"):
        import_package("broken")
