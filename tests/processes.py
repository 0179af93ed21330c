"""Python programs in processes of their own, forked from one that has the libraries loaded: a start takes no seconds.

Such a process is as fresh as one of `python -c`: it has read no study and loaded no plug-in. It is killed, stopped and
waited for like any other. Programs that need other settings before torch loads are started by `subprocess` instead.
"""

import atexit
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

_FORKED = multiprocessing.get_context("forkserver")
_FORKED.set_forkserver_preload(
    [
        *("optuna", "optuna.storages._rdb.storage", "alembic.command", "timm", "torchvision", "ptflops"),
        *("sklearn.linear_model", "scipy.stats", "torch._dynamo", "torch.export", "eenas.results.search"),
        *("eenas.study.run", "eenas.study.opening", "eenas.testing.smallest"),
    ]
)
_ROOT = str(Path(__file__).parents[1])
if _ROOT not in sys.path:
    sys.path.append(_ROOT)  # where a new process finds this file


class Program:
    """`python -c CODE ARGUMENTS`, started at once, on one thread; what it prints is kept in files."""

    def __init__(self, code: str, *arguments: object, cwd: Path | None = None, **environment: str) -> None:
        self._out, self._err = (Path(tempfile.mkstemp(suffix=suffix)[1]) for suffix in (".out", ".err"))
        self._process = _FORKED.Process(
            target=_run,
            args=(code, [str(each) for each in arguments], (self._out, self._err), cwd, environment),
            daemon=True,  # a test that fails leaves none behind
        )
        self._process.start()
        atexit.register(self.kill)  # a stopped process would not hear the request of multiprocessing to end

    @property
    def out(self) -> str:
        """What it has printed so far."""
        return self._out.read_text()

    @property
    def err(self) -> str:
        """What it has written to stderr so far, tracebacks included."""
        return self._err.read_text()

    @property
    def ended(self) -> bool:
        return not self._process.is_alive()

    def wait_for(self, words: str, *, times: int = 1, seconds: float = 120.0) -> None:
        """Wait until it has printed `words` so often."""
        deadline = time.monotonic() + seconds
        while self.out.count(words) < times:
            assert not self.ended or self.out.count(words) >= times, self.out + self.err
            assert time.monotonic() < deadline, self.out + self.err
            time.sleep(0.02)

    def send(self, number: signal.Signals) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        """End it as `kill -9` does, if it has not ended."""
        self._process.kill()
        self._process.join()

    def end(self, status: int = 0, seconds: float = 300.0) -> str:
        """Wait until it ends with this status; what it printed."""
        self._process.join(seconds)
        assert self._process.exitcode == status, self.out + self.err
        return self.out


def _run(code: str, arguments: list[str], files: tuple[Path, Path], cwd: Path | None, environment: dict) -> None:
    for number, file in enumerate(files, start=1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_APPEND), number)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    import torch

    torch.set_num_threads(1)
    os.environ |= {"OMP_NUM_THREADS": "1", **environment}
    os.chdir(cwd or Path.cwd())
    sys.argv = ["-c", *arguments]
    exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
