"""A small server of the wire format, which answers with the segments behind a split, and can be told to misbehave."""

import json
import socket
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from eenas.programs.manifest import read_manifest
from eenas.programs.remote.content_encoding import decompressed_body
from eenas.programs.remote.feature_codec import decode_features
from eenas.programs.remote.open_inference import (
    HEADER_LENGTH,
    InferenceResponse,
    decode_inference_request,
    encode_inference_response,
    encode_protocol_error,
    parse_header_length,
)
from eenas.programs.segments import open_segments


class ModelServer:
    """The answers of a model from a split on. `wrong` may change them, `status` refuse them, `delay` hold them.

    `seen` are the ids of the requests that it answered, in order.
    """

    def __init__(self, folder, policy=None, token=""):
        self.manifest = read_manifest(folder)
        self.segments = open_segments(self.manifest, threads=1)
        self.policy = policy or self.manifest.policy
        self.token = token
        self.wrong, self.status, self.delay = None, 200, 0.0
        self.identity = self.manifest.identity
        self.wants_logits = False
        self.seen, self.splits, self.sizes, self.encodings = [], [], [], []
        self.models = ("model",)
        self.answer_id = self.start = None

    def metadata(self, name):
        names = ["features", "x", *(["logits"] if self.wants_logits else [])]
        return {
            "name": name,
            "versions": ["1"],
            "platform": "eenas",
            "inputs": [{"name": name, "datatype": "FP32", "shape": [-1]} for name in names],
            "outputs": [],
            "parameters": {
                "model_identity": self.identity if name == "model" else "of others",
                "max_batch": 16,
                **({} if self.start is None else {"split": self.start}),
            },
        }

    def infer(self, body, header_length):
        request = decode_inference_request(body, header_length)
        split = request.parameters["split"]
        raw = self.manifest.preprocessing.checked
        x = raw(request.inputs["x"]) if split == "" else decode_features(request.inputs)
        first = self.manifest.exits.index(split) + 1 if split in self.manifest.exits else self.manifest.first_exit
        first = 0 if split == "" else first
        n = len(x)
        previous, state = None, self.policy.start(n)
        if "logits" in request.inputs:
            earlier = request.inputs["logits"]
            assert earlier.shape == (n, first, len(self.manifest.classes))
            for k in range(first):
                previous = np.ascontiguousarray(earlier[:, k])
                leave, state = self.policy.decide(k, previous, state)
                assert not leave.any()
        classes, exits = np.full(n, -1, np.int64), np.full(n, -1, np.int64)
        logits = np.zeros((n, len(self.manifest.classes)), np.float32)
        active = np.arange(n)
        for k in range(first, len(self.manifest.exits)):
            x, found = self.segments[k - self.manifest.first_exit](np.ascontiguousarray(x), previous)
            leave, state = self.policy.decide(k, found, state)
            leaving = active[leave]
            classes[leaving], exits[leaving], logits[leaving] = self.policy.answer(state[leave]), k, found[leave]
            active, state, previous = active[~leave], state[~leave], found[~leave]
            if x is None or len(active) == 0:
                break
            x = x[~leave]
        outputs = {"classes": classes, "exits": exits, "logits": logits}
        if self.wrong is not None:
            outputs = self.wrong(outputs)
        self.seen.append(request.id)
        self.splits.append(split)
        self.sizes.append(n)
        response = InferenceResponse(
            outputs=outputs,
            model="model",
            id=request.id if self.answer_id is None else self.answer_id,
            parameters={"model_identity": self.identity},
        )
        return encode_inference_response(response, frozenset(outputs))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def _send(self, status, body, headers=None):
        head = {"Content-Type": "application/json", **(headers or {}), "Content-Length": str(len(body))}
        lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in head.items())]
        self.wfile.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def _served(self):
        model = self.server.model
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if model.token and self.headers.get("Authorization") != f"Bearer {model.token}":
            return self._send(401, encode_protocol_error("a token is missing"))
        if self.path == "/v2/health/ready":
            return self._send(200, b"{}")
        if self.path == "/v2/repository/index":
            return self._send(200, json.dumps([{"name": name, "state": "READY"} for name in model.models]).encode())
        if self.path in ("/v2/models/model", "/v2/models/other"):
            return self._send(200, json.dumps(model.metadata(self.path.rpartition("/")[2])).encode())
        if self.path != "/v2/models/model/infer":
            return self._send(404, encode_protocol_error(f"no {self.path}"))
        time.sleep(model.delay)
        if model.status != 200:
            return self._send(model.status, encode_protocol_error("told to refuse"))
        encoding = self.headers.get("Content-Encoding", "")
        model.encodings.append(encoding)
        length = parse_header_length(self.headers.get(HEADER_LENGTH))
        found = model.infer(decompressed_body(body, encoding, 1 << 24), length)
        return self._send(200, found.data, found.headers)

    do_GET = do_POST = _served


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def get_request(self):
        connection, address = super().get_request()
        self.open = [*getattr(self, "open", []), connection]
        return connection, address

    def end(self):
        """Stop as a process does that ends: its connections end, too."""
        self.shutdown()
        self.server_close()
        for connection in getattr(self, "open", []):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request, client_address):
        """A client that went away is no error here."""


@contextmanager
def serving(model, port=0):
    """The address of a server of the model, which stops at the end of the block."""
    server = _Server(("127.0.0.1", port), _Handler)
    server.model = model
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.end()
