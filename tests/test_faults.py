"""Which errors are the machine's, and what they say: one line with the fix."""

import errno
import os

import pytest

from eenas.errors import DesignError, DivergedError, MachineError, OutOfMemoryError, StorageError, TaskError
from eenas.faults import interrupt_of, is_memory_shortage, machine_fault, machine_faults, raise_shortage


def raised_from(error: Exception, cause: Exception, *, hidden: bool = False) -> Exception:
    try:
        try:
            raise cause
        except Exception as caught:
            if hidden:
                raise error from None
            raise error from caught
    except Exception as found:
        return found


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "MemoryError; free memory"),
        (MemoryError("std::bad_alloc"), "bad_alloc; free memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"), "free memory"),
        (RuntimeError("can't start new thread"), "free memory"),
        (ImportError("libtorch.so: failed to map segment from shared object"), "free memory"),
        (OutOfMemoryError("out of memory with batch_size=16; set a smaller one"), "batch_size=16.*free memory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "free memory"),
        (OSError(errno.ENOSPC, "No space left on device", "/x"), "^/x: No space left on device; free space"),
        (OSError(errno.EROFS, "Read-only file system", "/x"), "make its file system writable"),
        (FileNotFoundError(errno.ENOENT, "No such file", "/x"), "restore it"),
        (ConnectionResetError("reset"), "fix the cause and rerun the command"),
        (
            RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"),
            r"^a file could not be written .*disk or a quota may be full.*; free space",
        ),
        (ValueError("I/O error: No space left on device (os error 28)"), "free space"),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), "check the device"),
        (
            raised_from(TaskError("a.png: cannot be read"), OSError(errno.EIO, "Input/output")),
            "^a.png: cannot be",
        ),
        (raised_from(TaskError("a.png: no"), OSError(errno.EIO, "Input/output"), hidden=True), "^a.png: no"),
    ],
)
def test_what_the_machine_lacks_is_one_line_with_the_fix(error: Exception, said: str) -> None:
    with pytest.raises(MachineError, match=said) as caught:
        raise machine_fault(error) or error
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        DivergedError("the loss is not finite"),
        DesignError("no such cut point"),
        ValueError("shapes differ"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        raised_from(DesignError("no"), KeyError("x")),
    ],
)
def test_what_a_design_does_wrong_is_not_the_machines(error: Exception) -> None:
    assert machine_fault(error) is None
    assert not is_memory_shortage(error)


def test_inside_the_block_only_the_machines_errors_change() -> None:
    with pytest.raises(MachineError, match="No such file"), machine_faults():
        os.stat("/nowhere/at/all")
    for error in (DesignError("no"), ValueError("no"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as caught, machine_faults():
            raise error
        assert caught.value is error


def test_an_interrupt_is_found_behind_the_error_that_a_library_raises_on_its_way_out() -> None:
    interrupt = KeyboardInterrupt()

    def end() -> None:
        try:
            raise interrupt
        finally:
            raise NameError("updated_state")

    with pytest.raises(NameError) as caught:
        end()
    assert interrupt_of(caught.value) is interrupt
    assert interrupt_of(raised_from(StorageError("no storage"), caught.value, hidden=True)) is interrupt
    assert interrupt_of(interrupt) is interrupt
    assert interrupt_of(caught.value, interrupt) is None
    assert interrupt_of(caught.value, OSError()) is interrupt
    assert interrupt_of(raised_from(StorageError("no"), OSError("no"))) is None


def test_what_is_tried_out_of_a_module_passes_lack_of_memory_on() -> None:
    raise_shortage(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    raise_shortage(FileNotFoundError(errno.ENOENT, "No such file", "/x"))
    for error in (MemoryError(), raised_from(ValueError("no"), MemoryError()), RuntimeError("CUDA error: unknown")):
        with pytest.raises(MachineError):
            raise_shortage(error)
