"""Names and folders of models, and faults of their files."""

import json
import os
import shutil
from pathlib import Path

import pytest

from byoc.errors import ArtifactError
from serving import model_registry
from serving.model_registry import check_model
from tests.support.fake_registry import Fake, names, refused
from tests.support.toy import ARTIFACT


def test_artifact_is_linked(fake: Fake) -> None:
    fake.models.load("a", ARTIFACT)
    assert (fake.folder / "artifacts" / "a").readlink() == ARTIFACT


@pytest.mark.parametrize(
    "name",
    ["a", "A-b_c.1", "0" * 128, "_", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
)
def test_valid_name_is_accepted(fake: Fake, name: str) -> None:
    fake.models.load(name, ARTIFACT)
    assert names(fake) == [name]


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".a", "-a", "a/b", "../a", "a b", "a\n", "a\0", "é", "0" * 129, "a?b", "a%2fb"]
)
def test_invalid_name_is_400(fake: Fake, name: str) -> None:
    status, reason = refused(lambda: fake.models.load(name, ARTIFACT))
    assert (status, reason) == (
        400,
        f"model_name {name!r}: expected 1 to 128 letters, digits, '.', '_' or '-'",
    )
    assert fake.asked == []


@pytest.mark.parametrize("name", ["artifact.json", "toy.json"])
def test_damaged_artifact_is_400(fake: Fake, tmp_path: Path, name: str) -> None:
    file = tmp_path / "ml" / "a" / "model" / name
    file.write_bytes(file.read_bytes()[:-9])
    status, reason = refused(lambda: fake.models.load("a", file.parent))
    assert status == 400
    assert str(file) in reason
    assert fake.asked == []


def test_missing_artifact_is_400(fake: Fake, tmp_path: Path) -> None:
    status, reason = refused(lambda: fake.models.load("a", tmp_path / "none"))
    assert status == 400
    assert "no trained model" in reason


def test_platform_folder_is_loaded(fake: Fake, tmp_path: Path) -> None:
    fake.models.load_url("x", str(tmp_path / "ml" / "a" / "model"))
    assert names(fake) == ["x"]


def test_trailing_slash_is_removed(fake: Fake, tmp_path: Path) -> None:
    fake.models.load_url("x", f"{tmp_path}/ml/a/model/")
    assert fake.models.get("x").artifact == tmp_path / "ml" / "a" / "model"


def test_link_within_platform_folder_is_loaded(fake: Fake, tmp_path: Path) -> None:
    (tmp_path / "ml" / "b").symlink_to("a")
    fake.models.load_url("x", f"{tmp_path}/ml/b/model")
    assert names(fake) == ["x"]


def test_platform_folder_may_be_a_link(fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to("ml")
    monkeypatch.setattr(model_registry, "MULTI_MODEL_FOLDER", tmp_path / "link")
    fake.models.load_url("x", f"{tmp_path}/link/a/model")
    assert names(fake) == ["x"]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/",
        "{ml}",
        "{ml}/",
        "{ml}/../secret",
        "{ml}/a/../../secret",
        "{ml}/a/model/../../../secret",
        "{ml}-other/model",
        "{ml}/to-secret",
        "{ml}/to-parent/secret",
        "{ml}/circle",
        "{ml}/half\ud800",
        "{ml}/nul\0",
        "ml/a/model",
        "http://169.254.169.254/latest/",
        "s3://bucket/model.tar.gz",
        "file://{ml}/a/model",
    ],
)
def test_folder_outside_the_platform_is_400(fake: Fake, tmp_path: Path, url: str) -> None:
    ml = tmp_path / "ml"
    shutil.copytree(ARTIFACT, tmp_path / "secret")
    shutil.copytree(ARTIFACT, tmp_path / "ml-other" / "model")
    (ml / "to-secret").symlink_to(tmp_path / "secret")
    (ml / "to-parent").symlink_to("..")
    (ml / "circle").symlink_to("circle")
    url = url.format(ml=ml)
    assert refused(lambda: fake.models.load_url("x", url)) == (
        400,
        f"url {url!r}: expected a folder below {ml}",
    )
    assert fake.asked == []


@pytest.mark.parametrize("name", ["long/" * 2_000, "long" * 100])
def test_too_long_path_is_400(fake: Fake, tmp_path: Path, name: str) -> None:
    status, reason = refused(lambda: fake.models.load_url("x", f"{tmp_path}/ml/{name}"))
    assert (status, "File name too long" in reason) == (400, True)


def test_platform_folder_is_opt_ml_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert Path("/opt/ml/models") == model_registry.MULTI_MODEL_FOLDER


def test_reason_is_ascii_in_json(fake: Fake) -> None:
    assert json.dumps(refused(lambda: fake.models.load_url("x", "/\ud800"))[1]).isascii()


def test_model_in_a_deeper_folder_is_named(tmp_path: Path) -> None:
    shutil.copytree(ARTIFACT, tmp_path / "model" / "toy")
    with pytest.raises(ArtifactError) as caught:
        check_model(tmp_path / "model")
    assert str(caught.value) == (
        f"the model is in {tmp_path}/model/toy, expected in {tmp_path}/model: pack the files without their "
        "folder, tar -C toy -czf model.tar.gz ."
    )


@pytest.mark.parametrize("name", ["artifact.json", "toy.json"])
def test_unreadable_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(ARTIFACT, folder)
    # Root reads everything.
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path).name != name)
    with pytest.raises(ArtifactError) as caught:
        check_model(folder)
    assert str(caught.value) == (
        f"{folder / name} is not readable by user {os.geteuid()}: chmod -R a+rX {folder}"
    )
