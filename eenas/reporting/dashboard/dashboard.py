"""Serve optuna-dashboard for a study's storage and artifacts."""

import socketserver
import wsgiref.simple_server
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, cast

from eenas.errors import EenasError, StorageError
from eenas.progress import Listener, Notice, silent
from eenas.records.artifacts import ArtifactStore, existing_store
from eenas.records.database import Database
from eenas.records.stores.places import ArtifactPlace
from eenas.records.urls import read_url, sqlite_file
from eenas.study.optuna_artifacts import OptunaArtifacts

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


def serve(
    storage: str,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    artifacts: ArtifactPlace | None = None,
    trust_code: bool = False,
    listener: Listener = silent,
) -> None:
    """Serve until interrupted. `port` 0 takes a free port; `listener` gets the address as a notice.

    `artifacts` is the store of the exit tables (default: the folder beside an SQLite file). Raises StorageError if the
    storage is missing or is not a study's, EenasError if the address is taken.
    """
    with server(
        storage, host=host, port=port, artifacts=artifacts, trust_code=trust_code, listener=listener
    ) as running:
        address = f"http://{host}:{running.server_port}"
        listener(Notice(f"the dashboard is at {address} (Ctrl-C ends it)"))
        running.serve_forever()


def server(
    storage: str,
    *,
    host: str,
    port: int,
    artifacts: ArtifactPlace | None,
    trust_code: bool = False,
    listener: Listener = silent,
) -> wsgiref.simple_server.WSGIServer:
    """Return the server of `serve`, bound to its address but not yet serving. The caller closes it."""
    app = _Watched(_application(storage, artifacts, trust_code), storage, listener)
    try:
        return wsgiref.simple_server.make_server(host, port, app, server_class=_Threads, handler_class=_QuietHandler)
    except (OSError, OverflowError) as error:
        raise EenasError(f"cannot serve on {host}:{port} ({error}); pass another --port (0 takes a free one)") from None


def _application(storage: str, artifacts: ArtifactPlace | None, trust_code: bool) -> Any:
    import optuna
    from optuna_dashboard import wsgi

    database = Database(storage, create=False)
    try:
        opened = optuna.storages.RDBStorage(database.url, engine_kwargs=database.engine_options())
    except Exception as error:  # SQLAlchemy, alembic and drivers each have their own
        raise StorageError(f"{database.label}: Optuna cannot use this database ({error})") from error
    kept = _store_of(storage, artifacts, trust_code=trust_code)
    return wsgi(opened, artifact_store=None if kept is None else OptunaArtifacts(kept))


def _store_of(storage: str, artifacts: ArtifactPlace | None, *, trust_code: bool) -> ArtifactStore | None:
    """Return the given store, or the folder beside the database if there is one."""
    file = sqlite_file(read_url(storage))
    if artifacts is None and (file is None or not file.with_suffix(".artifacts").is_dir()):
        return None
    return existing_store(storage, artifacts, trust_code=trust_code)


class _Watched:
    """The application. If it fails because the storage is gone or broken, the listener gets the reason once."""

    def __init__(self, app: "WSGIApplication", storage: str, listener: Listener) -> None:
        self._app, self._storage, self._listener = app, storage, listener
        self._said = ""

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request."""
        found: list[str] = []

        def start(status: str, *rest: Any) -> Callable[[bytes], object]:
            found.append(status)
            return start_response(status, *rest)

        answer = self._app(environ, cast("StartResponse", start))
        if found and found[-1].startswith("500"):
            try:
                Database(self._storage, create=False).close()
            except StorageError as error:
                if str(error) != self._said:
                    self._said = str(error)
                    self._listener(Notice(self._said))
        return answer


class _Threads(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    """A server with one thread per request, since a browser sends many requests at once."""

    daemon_threads = True


class _QuietHandler(wsgiref.simple_server.WSGIRequestHandler):
    """A handler that does not log requests."""

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""
