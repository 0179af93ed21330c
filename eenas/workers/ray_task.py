"""What runs on the nodes of a Ray cluster: the mailbox of the workers, a worker, and the check of a node."""

import os
import socket
from collections import defaultdict
from importlib import import_module
from typing import Any

from eenas.workers.job import run_job
from eenas.workers.messages import Ended, Message


class Mailbox:
    """The messages of the workers, from wherever they run, until they are taken."""

    def __init__(self) -> None:
        self._messages: dict[str, list[Message]] = defaultdict(list)

    def put(self, worker: str, message: Message | None) -> None:
        """Add a message of a worker. None adds nothing: it returns when all earlier messages are there."""
        if message is not None:
            self._messages[worker].append(message)

    def take(self) -> dict[str, list[Message]]:
        """Return the new messages by worker."""
        found = dict(self._messages)
        self._messages.clear()
        return found


def ray_worker(job: bytes, worker: str, mailbox: Any, folder: str) -> Ended:
    """Run a worker in the working folder of the search, and return how it ended. Ray cancels it by Ctrl-C."""
    os.chdir(folder)

    def send(message: Message) -> None:
        mailbox.put.remote(worker, message)

    ended = run_job(job, send)
    import_module("ray").get(mailbox.put.remote(worker, None))
    return ended


def missing_here(paths: list[str], token: str | None) -> tuple[str, list[str]]:
    """Return the name of this node, and which of `paths` it lacks. `token` is a file in a folder that all share."""
    wanted = paths if token is None else [*paths, token]
    return socket.gethostname(), [path for path in wanted if not os.path.exists(path)]
