"""The container's own tests serve the toy model."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="package", autouse=True)
def _toy_package() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODEL_PACKAGE", "tests.support.toy")
        yield
