"""Clients that do not read, do not end, or send more than the memory of the server holds."""

import gzip
import http.client
import socket
import ssl
import threading
import time
from contextlib import contextmanager, suppress

import numpy as np
import pytest

from eenas.deployment.serving.limits import ServingLimits
from eenas.deployment.serving.refusal import Refusal
from eenas.programs.remote.open_inference import InferenceRequest, encode_inference_request

from .conftest import a_server
from .test_http_limits import TOKEN, ask, error_of, infer, metric, until

grpc = pytest.importorskip("grpc")
METHOD = "/inference.GRPCInferenceService/ModelInfer"


@contextmanager
def a_server_of_small_buffers(folder, **limits):
    with a_server({"m": folder}, limits=ServingLimits(**limits)) as server:
        server._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)  # that of all its connections
        yield server


def asking(server, x, samples):
    """A connection on which an answer in JSON, much longer than all buffers, comes."""
    batch = np.repeat(x, samples // len(x) + 1, axis=0)[:samples]
    body = encode_inference_request(InferenceRequest(inputs={"image": batch}))
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    found.settimeout(20)
    found.connect(("127.0.0.1", server.port))
    lines = "".join(f"{name}: {value}\r\n" for name, value in body.headers.items())
    head = f"POST /v2/models/m/infer HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body.data)}\r\n{lines}\r\n"
    found.sendall(head.encode() + body.data)
    return found


@pytest.mark.parametrize("samples", [400, 1024])  # less and more than the buffer of a connection
def test_a_client_that_reads_no_answers_is_cut_off(exported, x, samples):
    with a_server_of_small_buffers(exported, receive_s=0.4) as server, asking(server, x, samples) as deaf:
        until(lambda: metric(server, "eenas_refusals_total").get('eenas_refusals_total{reason="slow_reader"}'))
        found = b""
        with suppress(ConnectionError):
            while part := deaf.recv(65536):
                found += part
        _, _, rest = found.partition(b"\r\n\r\n")
        assert len(rest) < 40_000
        assert ask(server)[0] == 200


def test_a_client_that_reads_slowly_gets_its_whole_answer(exported, x):
    with a_server_of_small_buffers(exported, receive_s=0.4) as server, asking(server, x, 1024) as slow:
        began = time.monotonic()
        answer = http.client.HTTPResponse(slow)
        answer.begin()
        parts = []
        while part := answer.read(30_000):
            parts.append(part)
            time.sleep(0.15)
        assert len(b"".join(parts)) == int(answer.headers["content-length"]) > 100_000
        assert time.monotonic() - began > 2 * server.service.limits.receive_s / 2


def test_a_client_that_pipelines_without_end_is_cut_off(server):
    request = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(3 * request)
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
        many = 200_000 * request
        with pytest.raises(ConnectionError):
            connection.sendall(many)


def test_a_client_that_never_ends_tls_does_not_delay_the_stop(exported, certificate):
    cert, key = certificate
    with a_server({"m": exported}, certificate=cert, key=key) as server:
        context = ssl.create_default_context(cafile=cert)
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=20)
        assert ask(server, connection=connection)[0] == 200
        began = time.monotonic()
    assert time.monotonic() - began < 4
    connection.close()


def test_memory_counts_while_a_body_is_unpacked(exported):
    limits = ServingLimits(body_mb=8, memory_mb=8)
    with a_server({"m": exported}, limits=limits) as server:
        service, most = server.service, []
        hold = service.hold
        service.hold = lambda size: (hold(size), most.append(service._bytes))
        bomb = gzip.compress(b"0" * 7_999_000)  # within the limit of a body, with its 8 kB beyond that of the memory
        status, said = error_of(ask(server, "POST", "/v2/models/m/infer", bomb, {"Content-Encoding": "gzip"}))
        assert (status, said.split(";")[0]) == (503, "too many bodies are in memory at the same time")
        assert len(most) > 5  # piece by piece
        assert max(most) <= 8_000_000
        until(lambda: service._bytes == 0)


def test_messages_of_grpc_are_received_within_the_memory(exported, x):
    limits = ServingLimits(body_mb=1, memory_mb=4, receive_s=1.0)
    assert limits.receiving == 2
    with (
        a_server({"m": exported}, token=TOKEN, grpc=True, limits=limits) as server,
        grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel,
    ):
        own = (("authorization", f"Bearer {TOKEN}"),)
        unfinished, release = channel.stream_unary(METHOD), threading.Event()

        def never():
            release.wait(30)
            yield from ()

        waiting = [unfinished.future(never(), metadata=own, timeout=30) for _ in range(6)]
        until(lambda: server.service._bytes == 2_000_000)  # two are received, the others wait
        codes = [each.code() for each in waiting]
        assert codes == 6 * [grpc.StatusCode.DEADLINE_EXCEEDED]
        assert all("not received within 1 s" in each.details() for each in waiting)
        release.set()
        until(lambda: server.service._bytes == 0)
        call = channel.unary_unary(METHOD)
        for data, code in ((b"\xff", "INVALID_ARGUMENT"), (1_000_001 * b"0", "RESOURCE_EXHAUSTED")):
            with pytest.raises(grpc.RpcError) as error:
                call(data, metadata=own, timeout=30)
            assert error.value.code() == grpc.StatusCode[code]
        server.service.hold(3_500_000)
        with pytest.raises(grpc.RpcError, match="too many bodies are in memory"):
            call(b"\xff", metadata=own, timeout=30)
        server.service.release(3_500_000)
        until(lambda: server.service._bytes == 0)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert infer(server, x[:1], headers=headers)[0] == 200


def test_the_memory_of_a_service_is_never_exceeded_from_several_threads(exported):
    with a_server({"m": exported}, limits=ServingLimits(body_mb=1, memory_mb=1)) as server:
        taken = []

        def take():
            for _ in range(2000):
                try:
                    server.service.hold(1000)
                    taken.append(1000)
                except Refusal:
                    return

        threads = [threading.Thread(target=take) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sum(taken) == server.service._bytes == 1_000_000
