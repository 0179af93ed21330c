"""Devices: resolving a user's device name, and full names."""

import platform
from functools import cache
from pathlib import Path

import torch

from eenas.errors import DeviceError

KINDS = ("auto", "cpu", "cuda", "mps")


def check_device(name: str) -> None:
    """Raise DeviceError for a name that no machine has a device of."""
    kind, colon, index = name.partition(":")
    is_index = index.isascii() and index.isdecimal() and len(index) < 5
    if kind not in KINDS or (colon and (kind == "auto" or not is_index)):
        raise DeviceError(f"unknown device {name!r:.60}; give {', '.join(KINDS)} or cuda:INDEX")


def resolve_device(name: str) -> torch.device:
    """Return the device for "auto", "cpu", "cuda", "cuda:1" or "mps".

    "auto" is the first available of cuda, mps and cpu. "cuda" is the current CUDA device, with its index. Raises
    DeviceError if the device is not available.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    check_device(name)
    kind, colon, index = name.partition(":")
    number = int(index) if colon else None
    if kind == "cuda" and torch.cuda.is_available():
        number = torch.cuda.current_device() if number is None else number
        if number < torch.cuda.device_count():
            return torch.device("cuda", number)
    if kind == "mps" and torch.backends.mps.is_available() and not number:
        return torch.device("mps")
    if kind == "cpu" and not number:
        return torch.device("cpu")
    raise DeviceError(f"device {name!r} is not available; use one of {', '.join(_present())}")


def device_name(device: torch.device, threads: int | None = None) -> str:
    """Return the full name, such as "CPU: AMD EPYC 9B14" or "NVIDIA H100"; with `threads` also "..., 1 thread"."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        name = f"{'CPU' if device.type == 'cpu' else device.type.upper()}: {_processor()}"
    if threads is None or device.type != "cpu":
        return name
    return f"{name}, {threads} {'thread' if threads == 1 else 'threads'}"


def _present() -> list[str]:
    found = ["cpu"]
    if torch.cuda.is_available():
        found += [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        found.append("mps")
    return found


@cache
def _processor() -> str:
    """Return the processor's name from /proc/cpuinfo, else from Python."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name" and value.strip():
                return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or "unknown processor"
