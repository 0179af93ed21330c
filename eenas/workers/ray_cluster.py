"""A Ray cluster that this process has joined, and the mailbox of the workers on it."""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from eenas.errors import StudyError
from eenas.escaping import shortened
from eenas.workers.messages import Message
from eenas.workers.ray_task import Mailbox

ANSWER = 10.0
"""The seconds within which the address of a cluster must accept a connection."""
CONNECT = 60.0
"""The seconds within which the cluster must let a process join."""
TAKE_EVERY = 0.2
"""The least seconds between two looks into the mailbox."""
_JOIN = "import sys, ray; ray.init(address=sys.argv[1], log_to_driver=False, logging_level='ERROR'); ray.shutdown()"


class RayCluster:
    """A Ray cluster that this process has joined, and the mailbox of the workers on it.

    Raises StudyError, in one line, if Ray is not installed, the address is malformed, or no cluster answers in time.
    """

    def __init__(self, address: str) -> None:
        self.ray, self._address = _joined(address), address
        self._inbox: dict[str, list[Message]] = {}
        self._next = 0.0
        with self.answering():
            mailbox = self.ray.remote(Mailbox)
            self.mailbox = mailbox.options(num_cpus=0).remote()

    def take(self, worker: str, *, now: bool = False) -> list[Message]:
        """Return the new messages of a worker. Raises StudyError if the cluster is gone."""
        if now or time.monotonic() >= self._next:
            with self.answering():
                taken = self.ray.get(self.mailbox.take.remote())
            for name, messages in taken.items():
                self._inbox.setdefault(name, []).extend(messages)
            self._next = time.monotonic() + TAKE_EVERY
        return self._inbox.pop(worker, [])

    def nodes(self) -> list[Mapping[str, Any]]:
        """Return the live nodes, as Ray describes them. Raises StudyError if the cluster is gone."""
        with self.answering():
            return [node for node in self.ray.nodes() if node["Alive"]]

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        """Convert Ray's errors about a cluster that is gone to a StudyError."""
        try:
            yield
        except (self.ray.exceptions.RayError, ConnectionError) as error:
            raise StudyError(
                f"the Ray cluster at {shortened(self._address)} does not answer any more ({last_line(str(error))}); "
                "finished trials are kept; check it (`ray status`) and rerun the command"
            ) from None


def last_line(text: str) -> str:
    """Return the last line of a text with something on it, shortened."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no reason given"


def _joined(address: str) -> Any:
    """Return the module `ray`, with this process in the cluster."""
    try:
        ray = import_module("ray")
    except Exception as error:  # an installation that is broken raises errors of many types
        raise StudyError(f"--ray needs the package ray ({last_line(str(error))}); pip install 'eenas[ray]'") from None
    if ray.is_initialized():
        return ray
    _check_address(address)
    try:
        done = subprocess.run(
            [sys.executable, "-c", _JOIN, address], capture_output=True, text=True, timeout=CONNECT, check=False
        )
    except subprocess.TimeoutExpired:
        raise StudyError(
            f"the Ray cluster at {shortened(address)} did not answer within {CONNECT:g} s; start it with `ray start "
            "--head`, or give the address that this prints"
        ) from None
    if done.returncode:
        raise _not_joined(address, done.stderr)
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", configure_logging=False)
    except Exception as error:  # the cluster ended since, or takes no more drivers
        raise _not_joined(address, str(error)) from None
    return ray


def _not_joined(address: str, said: str) -> StudyError:
    return StudyError(
        f"the Ray cluster at {shortened(address)} cannot be joined ({last_line(said)}); start it with "
        "`ray start --head`, or give the address that this prints"
    )


def _check_address(address: str) -> None:
    """Raise StudyError if nothing accepts a connection at HOST:PORT."""
    if address == "auto":
        return
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    is_port = port.isascii() and port.isdecimal() and len(port) <= 5 and 0 < int(port) < 65536
    if not (colon and host and is_port):
        raise StudyError(f"--ray must be auto, HOST:PORT or ray://HOST:PORT, got {shortened(address)}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER).close()
    except (OSError, UnicodeError, ValueError) as error:
        reason = "no answer" if isinstance(error, TimeoutError) else getattr(error, "strerror", None) or error
        raise StudyError(
            f"the Ray cluster at {shortened(address)} did not answer within {ANSWER:g} s ({reason}); check the "
            "address, and that the cluster runs (`ray status`)"
        ) from None
