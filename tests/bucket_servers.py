"""Servers on loopback with the interfaces of S3 and of Google Cloud Storage, which fail when they are told to."""

import json
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from email.parser import BytesParser
from typing import Any
from urllib.parse import parse_qs, unquote

from werkzeug.serving import WSGIRequestHandler, make_server

BUCKET = "studies"
KINDS = ("busy", "refused", "answer lost", "half an answer", "half a request")
"""The kinds of faults, in turns."""

Answer = Iterable[bytes]


class _QuietRequests(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        pass

    def connection_dropped(self, error: BaseException, environ: Any = None) -> None:
        """End the connection at once, so that the client need not wait for the rest of an answer."""
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


class Faults:
    """An application before another one. Every `every`-th request fails; `said` answers all of them.

    `count` is the number of requests, `failed` those that failed. `said` is a status and a code of S3.
    """

    def __init__(self, app: Callable[..., Answer], every: int = 0) -> None:
        self.app, self.every, self.said = app, every, ("", "")
        self.count = self.failed = 0
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Answer:
        with self._lock:
            self.count += 1
            fails = self.every > 0 and self.count % self.every == 0
            kind = KINDS[self.failed % len(KINDS)] if fails else ""
            self.failed += fails
        if self.said[0]:
            return self._error(environ, start, *self.said)
        if kind == "busy":
            return self._error(environ, start, "503 Slow Down", "SlowDown")
        if kind == "refused":
            raise ConnectionResetError
        if kind == "half a request":
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0) // 2)
            raise ConnectionResetError
        if kind == "answer lost":
            list(self.app(environ, lambda *_: None))  # done, but nobody hears of it
            raise ConnectionResetError
        answer = self.app(environ, start)
        return self._half(answer) if kind == "half an answer" else answer

    def _error(self, environ: dict[str, Any], start: Callable[..., Any], status: str, code: str) -> Answer:
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        text = f"<Error><Code>{code}</Code><Message>as told</Message></Error>".encode()
        start(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(text)))])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [text]

    def _half(self, answer: Answer) -> Iterator[bytes]:
        whole = b"".join(answer)
        yield whole[: len(whole) // 2]
        raise ConnectionResetError


@contextmanager
def served(app: Callable[..., Answer]) -> Iterator[str]:
    """Serve an application on loopback with a thread for each request, and yield its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_QuietRequests)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def s3_server(every: int = 0) -> Iterator[tuple[str, Faults]]:
    """Yield the address of a server of S3 with the bucket BUCKET, and its faults."""
    import boto3
    from moto.server import DomainDispatcherApplication, create_backend_app

    faults = Faults(DomainDispatcherApplication(create_backend_app))
    with served(faults) as address:
        keys = {"aws_access_key_id": "anyone", "aws_secret_access_key": "anything", "region_name": "us-east-1"}
        client = boto3.session.Session(**keys).client("s3", endpoint_url=address)
        client.create_bucket(Bucket=BUCKET)
        faults.count, faults.every = 0, every
        try:
            yield address, faults
        finally:
            faults.every, faults.said = 0, ("", "")
            for item in client.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
                client.delete_object(Bucket=BUCKET, Key=item["Key"])
            client.delete_bucket(Bucket=BUCKET)


def s3_environment(address: str) -> dict[str, str]:
    """Return the environment in which boto3 uses a server."""
    return {
        "AWS_ENDPOINT_URL_S3": address,
        "AWS_ACCESS_KEY_ID": "anyone",
        "AWS_SECRET_ACCESS_KEY": "very-secret-key",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/nonexistent",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
    }


class GoogleBucket:
    """The part of the JSON interface of Google Cloud Storage that a bucket of small objects needs."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Answer:
        status, content = self._answer(environ)
        start(status, [("Content-Type", "application/json"), ("Content-Length", str(len(content)))])
        return [content]

    def _answer(self, environ: dict[str, Any]) -> tuple[str, bytes]:
        method, query = environ["REQUEST_METHOD"], parse_qs(environ["QUERY_STRING"])
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        path = environ.get("RAW_URI", environ["PATH_INFO"]).partition("?")[0]
        before, _, rest = path.partition("/storage/v1/b/")
        bucket, _, key = rest.partition("/o")
        key = unquote(key.removeprefix("/"))
        if bucket != BUCKET:
            return self._missing("The specified bucket does not exist.")
        if method == "POST" and before == "/upload":
            head = f"Content-Type: {environ['CONTENT_TYPE']}\r\n\r\n".encode()
            facts, part = BytesParser().parsebytes(head + body).get_payload()
            name = json.loads(facts.get_payload(decode=True))["name"]
            separator = b"--" + environ["CONTENT_TYPE"].partition('boundary="')[2].strip('"').encode()
            content = body.split(separator)[2].partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
            self.objects[name] = content
            assert part is not None
            return "200 OK", self._facts(name)
        if not key:
            names = [name for name in self.objects if name.startswith(query.get("prefix", [""])[0])]
            return "200 OK", json.dumps({"items": [{"name": name} for name in names]}).encode()
        if key not in self.objects:
            return self._missing(f"No such object: {BUCKET}/{key}")
        if method == "DELETE":
            del self.objects[key]
            return "204 No Content", b""
        if query.get("alt") == ["media"]:
            return "200 OK", self.objects[key]
        return "200 OK", self._facts(key)

    def _facts(self, name: str) -> bytes:
        import base64

        import google_crc32c

        digest = google_crc32c.Checksum(self.objects[name]).digest()
        return json.dumps({"name": name, "bucket": BUCKET, "crc32c": base64.b64encode(digest).decode()}).encode()

    def _missing(self, text: str) -> tuple[str, bytes]:
        return "404 Not Found", json.dumps({"error": {"code": 404, "message": text}}).encode()
