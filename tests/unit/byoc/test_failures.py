"""What a failure file says."""

import errno

import pytest
import torch

from byoc.errors import DataError
from byoc.failures import explain


@pytest.mark.parametrize(
    ("error", "cause", "remedy"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "x"),
            "x: No space left on device",
            "VolumeSizeInGB",
        ),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "x"), "x: Disk quota exceeded", "VolumeSizeInGB"),
        (OSError(errno.EACCES, "Permission denied", "x"), "x: Permission denied", "read and write there"),
        (OSError(errno.EROFS, "Read-only file system", "x"), "x: Read-only file system", "mount the folder"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "out of memory: ", "a smaller batch_size"),
        (MemoryError(), "out of memory: MemoryError", "a smaller batch_size"),
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried"),
            "out of memory: OutOfMemoryError",
            "batch_size",
        ),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory\nmore"), "out of memory: ", "batch_size"),
        (KeyboardInterrupt(), "interrupted", "start the job again"),
    ],
)
def test_cause_comes_first_and_what_to_do_second(
    error: BaseException, cause: str, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = explain(error).splitlines()
    assert first.startswith(cause)
    assert remedy in second
    assert "Traceback" not in capsys.readouterr().err


def test_memory_that_cannot_be_had_is_recognized_in_what_torch_says() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)
    assert explain(caught.value).startswith("out of memory: ")


def test_errors_of_ours_speak_for_themselves() -> None:
    assert explain(DataError("channel x: empty")) == "channel x: empty"


def test_bug_leaves_its_traceback_in_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(KeyError("surprise")) == "KeyError: 'surprise'"
    assert "KeyError" in capsys.readouterr().err
