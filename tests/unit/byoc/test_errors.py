"""The explanation of an exception in the failure file."""

import errno

import pytest
import torch

from byoc.errors import LESS_MEMORY, DataError, explain

_ACCESS = "let the job's user, which is root on SageMaker, read and write there"


@pytest.mark.parametrize(
    ("error", "cause", "remedy"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "x"),
            "x: No space left on device",
            "VolumeSizeInGB",
        ),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "x"), "x: Disk quota exceeded", "VolumeSizeInGB"),
        (OSError(errno.EACCES, "Permission denied", "x"), "x: Permission denied", _ACCESS),
        (OSError(errno.EROFS, "Read-only file system", "x"), "x: Read-only file system", "mount the folder"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "out of memory: ", LESS_MEMORY),
        (MemoryError(), "out of memory: MemoryError", LESS_MEMORY),
        (torch.OutOfMemoryError("CUDA out of memory. Tried"), "out of memory: OutOfMemoryError", LESS_MEMORY),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory\nmore"), "out of memory: ", LESS_MEMORY),
        (KeyboardInterrupt(), "interrupted", "start the job again"),
    ],
)
def test_cause_first_remedy_second(
    error: BaseException, cause: str, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = explain(error).splitlines()
    assert first.startswith(cause)
    assert remedy in second
    assert "Traceback" not in capsys.readouterr().err


def test_torch_allocation_failure_is_recognized() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)
    assert explain(caught.value).startswith("out of memory: ")


def test_user_error_explains_itself() -> None:
    assert explain(DataError("channel x: empty")) == "channel x: empty"


def test_bug_leaves_a_traceback_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(KeyError("surprise")) == "KeyError: 'surprise'"
    assert "KeyError" in capsys.readouterr().err
