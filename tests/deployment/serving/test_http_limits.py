"""Limits, refusals in the form of the protocol, tokens, TLS, metrics, reloading and stops over HTTP and gRPC."""

import http.client
import json
import shutil
import socket
import ssl
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import tritonclient.grpc
from tritonclient.utils import InferenceServerException

from eenas.deployment.serving.limits import ServingLimits
from eenas.deployment.serving.opening import Opening, named_folders
from eenas.deployment.serving.server import TOKEN_VARIABLE, Address, read_token
from eenas.errors import EenasError, InputError, MachineError
from eenas.programs.manifest import MANIFEST
from eenas.programs.remote.open_inference import (
    InferenceRequest,
    decode_inference_response,
    encode_inference_request,
)
from eenas.programs.runtime import load

from .conftest import Gate, a_server

ONE_WORKER = Opening(threads=1, workers=1)
TOKEN = "correct-horse-battery"


def ask(server, method="GET", path="/v2", body=None, headers=None, connection=None):
    """A request with its status, headers and body."""
    own = connection or http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    own.request(method, path, body, headers or {})
    answer = own.getresponse()
    found = answer.status, dict(answer.headers), answer.read()
    if connection is None:
        own.close()
    return found


def infer(server, batch, name="image", headers=None, **parameters):
    model = next(iter(server.service.models))
    body = encode_inference_request(InferenceRequest(inputs={name: batch}, all_binary=True, parameters=parameters))
    return ask(server, "POST", f"/v2/models/{model}/infer", body.data, {**body.headers, **(headers or {})})


def error_of(found):
    status, headers, body = found
    table = json.loads(body)
    assert list(table) == ["error"]
    assert "\n" not in table["error"]
    assert headers.get("content-type", headers.get("Content-Type")) == "application/json"
    return status, table["error"]


def metric(server, name):
    status, _, body = ask(server, path="/metrics")
    assert status == 200
    lines = [line.rpartition(" ") for line in body.decode().splitlines() if line.startswith(name)]
    return {line: float(value) for line, _, value in lines}


def until(holds):
    for _ in range(2000):
        if holds():
            return
        time.sleep(0.005)
    raise AssertionError


def raw_connection(server, data):
    found = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    found.sendall(data)
    return found


def everything(connection):
    with connection:
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_paths_and_methods_that_do_not_exist(server):
    for method, path in (("GET", "/"), ("GET", "/v2/models/smallest/infer"), ("POST", "/v2/models"), ("PUT", "/v2")):
        status, said = error_of(ask(server, method, path))
        assert status == 404
        assert said.startswith(f"there is no {method} '{path}'")
    assert error_of(ask(server, path="/v2/models/other/ready")) == (
        404,
        "there is no model 'other'; known: 'smallest'",
    )


@pytest.mark.parametrize(
    ("body", "headers", "status", "said"),
    [
        (b"", {}, 400, "not valid JSON"),
        (b"{", {}, 400, "not valid JSON"),
        (b"[" * 10_000, {}, 400, "nested"),
        (b"{}", {"Inference-Header-Content-Length": "7"}, 400, "at most the 2 bytes"),
        (b"{}", {"Inference-Header-Content-Length": "-7"}, 400, "must be a number of bytes"),
        (b"{}", {"Content-Encoding": "br"}, 400, "content encoding must be one of"),
        (b"{}", {"Content-Encoding": "gzip"}, 400, "not valid gzip"),
    ],
)
def test_malformed_bodies(server, body, headers, status, said):
    found = error_of(ask(server, "POST", "/v2/models/smallest/infer", body, headers))
    assert found[0] == status
    assert said in found[1]


def test_bodies_and_batches_that_are_too_large(exported, x):
    limits = ServingLimits(body_mb=0.05, samples=10, receive_s=0.3)
    with a_server({"m": exported}, limits=limits, grpc=True) as server:
        assert infer(server, x[:10])[0] == 200
        status, said = error_of(infer(server, x[:11]))
        assert (status, said) == (413, "image has 11 samples, a request at most 10; send several")
        path = "/v2/models/m/infer"
        status, said = error_of(ask(server, "POST", path, b"0" * 60_000))
        assert (status, said) == (413, "a body has at most 50,000 bytes, got 60,000; send smaller batches")
        chunks = (b"0" * 10_000 for _ in range(6))  # its length is not stated
        assert error_of(ask(server, "POST", path, chunks))[0] == 413
        import gzip

        bomb = gzip.compress(b"0" * 10_000_000)
        status, said = error_of(ask(server, "POST", path, bomb, {"Content-Encoding": "gzip"}))
        assert status == 400
        assert "unpacks to more than 50,000 bytes" in said
        # bodies and heads that never end
        slow = raw_connection(server, f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{{".encode())
        head = raw_connection(server, b"GET /v2 HTTP/1.1\r\nHost: ")
        for connection in (slow, head):
            answer = everything(connection)
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert b'{"error"' in answer
        assert everything(raw_connection(server, b"nonsense\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
        refused = metric(server, "eenas_refusals_total")
        assert refused['eenas_refusals_total{reason="too_large"}'] == 3
        assert refused['eenas_refusals_total{reason="slow_body"}'] == 2
        with tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as client:
            tensor = tritonclient.grpc.InferInput("image", [11, 3, 8, 8], "FP32")
            tensor.set_data_from_numpy(x[:11])
            with pytest.raises(InferenceServerException, match="RESOURCE_EXHAUSTED"):
                client.infer("m", [tensor])


def test_many_connections_and_a_high_rate_are_refused(exported, x):
    with a_server({"m": exported}, limits=ServingLimits(connections=2, rate=1.0)) as server:
        assert infer(server, x[:1])[0] == 200
        status, headers, _ = infer(server, x[:1])
        assert status == 429
        assert int(headers["retry-after"]) >= 1
        idle = [raw_connection(server, b"") for _ in range(2)]
        until(lambda: b" 503 " in everything(raw_connection(server, b"")))
        for each in idle:
            each.close()


def test_requests_that_wait_too_long_or_go_away_free_their_place(exported, x):
    limits = ServingLimits(deadline_s=0.3, queue=3)
    with a_server({"m": exported}, opening=ONE_WORKER, limits=limits) as server:
        model = server.service.models["m"]
        gate = Gate(model.engine._segments[0])
        model.engine._segments = (gate, *model.engine._segments[1:])
        threads = [threading.Thread(target=infer, args=(server, x[:1])) for _ in range(1)]
        for thread in threads:
            thread.start()
        assert gate.begun.wait(20)
        connection = raw_connection(server, b"")
        body = encode_inference_request(InferenceRequest(inputs={"image": x[:2]}))
        lines = "".join(f"{name}: {value}\r\n" for name, value in body.headers.items())
        head = f"POST /v2/models/m/infer HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body.data)}\r\n{lines}\r\n"
        connection.sendall(head.encode() + body.data)
        until(lambda: model.engine.samples == 3)
        status, said = error_of(infer(server, x[:1]))
        assert status == 503
        assert "the queue holds 3 of at most 3 samples" in said
        connection.close()
        for thread in threads:
            thread.join()
        gate.may.set()
        until(lambda: model.engine.samples == 0)
        assert sum(gate.sizes) == 1  # nothing was computed for the client that went away
        gate.may.clear()
        late = error_of(infer(server, x[:1], timeout=1000))
        assert late == (504, "the request was not answered within its deadline")
        gate.may.set()
        until(lambda: model.engine.samples == 0)
        assert infer(server, x[:3])[0] == 200


def test_only_requests_with_the_token_are_answered(exported, x):
    with a_server({"m": exported}, token=TOKEN, grpc=True) as server:
        for headers in ({}, {"Authorization": "Bearer wrong-token"}, {"Authorization": TOKEN}):
            for path in ("/v2", "/metrics", "/v2/models/m"):
                status, said = error_of(ask(server, path=path, headers=headers))
                assert status == 401
                assert TOKEN not in said
        assert ask(server, path="/v2/health/live")[0] == 200
        own = {"Authorization": f"Bearer {TOKEN}"}
        assert infer(server, x[:1])[0] == 401
        assert infer(server, x[:1], headers=own)[0] == 200
        assert error_of(ask(server, path="/v2/health/other"))[0] == 404
        with tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as client:
            assert client.is_server_ready()
            with pytest.raises(InferenceServerException, match="UNAUTHENTICATED"):
                client.get_model_metadata("m")
            client.get_model_metadata("m", headers={"authorization": f"Bearer {TOKEN}"})


def test_tokens_are_read_from_a_file_or_the_environment(tmp_path, monkeypatch):
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    assert read_token(file) == TOKEN
    assert read_token(None) is None
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    assert read_token(None) == TOKEN
    for text in ("", "short", "two words and more", "schlüssel-schlüssel", "a" * 8 + "\n" + "b" * 8):
        file.write_text(text)
        with pytest.raises(InputError, match="at least 8 ASCII characters") as caught:
            read_token(file)
        assert not text or text not in str(caught.value)
    file.write_bytes(b"\xff\xfe")
    for unreadable in (tmp_path / "none", tmp_path, file):
        with pytest.raises(InputError, match=r"--token-file .*: cannot be read .*; give a text file .*, or set EENAS"):
            read_token(unreadable)


def test_both_protocols_over_tls(exported, certificate):
    cert, key = certificate
    with a_server({"m": exported}, grpc=True, certificate=cert, key=key) as server:
        context = ssl.create_default_context(cafile=cert)
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=20)
        assert ask(server, connection=connection)[0] == 200
        connection.close()
        with tritonclient.grpc.InferenceServerClient(
            f"localhost:{server.grpc_port}", ssl=True, root_certificates=str(cert)
        ) as client:
            assert client.is_server_ready()


def test_addresses_that_cannot_be_served(exported, certificate, tmp_path):
    cert, key = certificate
    with pytest.raises(InputError, match="give --certificate and --key"):
        Address(certificate=cert)
    (tmp_path / "bad").write_text("bad")
    with pytest.raises(InputError, match="are not a certificate and its key"):
        Address(certificate=tmp_path / "bad", key=key)
    with pytest.raises(InputError, match="are not a certificate and its key"):
        Address(certificate=cert, key=tmp_path / "none")
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    with taken:
        with (
            pytest.raises(MachineError, match="give another --port"),
            a_server({"m": exported}, port=port),
        ):
            pass
        with (
            pytest.raises(MachineError, match="give another --grpc-port"),
            a_server({"m": exported}, grpc=True, grpc_port=port),
        ):
            pass
    with (
        pytest.raises(MachineError, match="give a --host"),
        a_server({"m": exported}, host="no.such.host.invalid"),
    ):
        pass
    assert Address(host="127.0.0.2").is_local
    assert Address(host="::1").is_local
    assert not Address(host="0.0.0.0").is_local


def test_metrics_count_samples_answers_and_batches(exported, x, expected):
    with a_server({"m": exported}) as server:
        assert infer(server, x)[0] == 200
        answers = metric(server, "eenas_answers_total")
        exits = server.service.models["m"].model.exits
        for k, name in enumerate(exits):
            assert answers[f'eenas_answers_total{{exit="{name}",model="m"}}'] == (expected.exits == k).sum()
        samples = metric(server, "eenas_samples_total")
        assert samples[f'eenas_samples_total{{exit="{exits[0]}",model="m"}}'] == len(x)
        assert metric(server, "eenas_request_seconds_count") == {'eenas_request_seconds_count{model="m"}': 1}
        assert metric(server, "eenas_requests_total")['eenas_requests_total{model="m",protocol="http"}'] == 1
        assert metric(server, "eenas_queue_samples") == {'eenas_queue_samples{model="m"}': 0}


def test_thresholds_that_change_on_disk_are_taken(exported, x, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(exported, folder)
    table = json.loads((folder / MANIFEST).read_text())
    said = []
    with a_server({"m": folder}, token=TOKEN, listener=lambda event: said.append(event.text)) as server:
        own = {"Authorization": f"Bearer {TOKEN}"}

        def exits():
            status, headers, body = infer(server, x, headers=own)
            assert status == 200
            length = int(headers["inference-header-content-length"])
            return decode_inference_response(body, length).outputs["exits"]

        load_path = "/v2/repository/models/m/load"
        table["policy"]["thresholds"] = [0.0, 0.0]
        (folder / MANIFEST).write_text(json.dumps(table))
        assert ask(server, "POST", load_path, b"", {})[0] == 401
        assert ask(server, "POST", load_path, b"", own)[0] == 200
        assert not exits().any()
        table["policy"]["thresholds"] = [None, None]
        (folder / MANIFEST).write_text(json.dumps(table))
        until(lambda: exits().min() == 2)  # without a request
        (folder / MANIFEST).write_text("{")
        status, reason = error_of(ask(server, "POST", load_path, b"", own))
        assert status == 400
        assert "the policy stays as it is" in reason
        assert (exits() == 2).all()
        assert any("policy of the changed manifest: never" in line for line in said), said
        assert any("keeps its policy" in line for line in said)
    with a_server({"m": exported}) as server:
        assert error_of(ask(server, "POST", load_path))[0] == 403


def test_a_change_while_the_model_is_opened_is_taken(exported, x, tmp_path, monkeypatch):
    """Between the reading of the manifest and the first look at it."""
    from eenas.deployment.serving import opening

    folder = tmp_path / "model"
    shutil.copytree(exported, folder)
    opened = opening._opened

    def slow_opened(*given):
        found = opened(*given)
        table = json.loads((folder / MANIFEST).read_text())
        table["policy"]["thresholds"] = [0.0, 0.0]
        (folder / MANIFEST).write_text(json.dumps(table))
        return found

    monkeypatch.setattr(opening, "_opened", slow_opened)
    with a_server({"m": folder}) as server:
        model = server.service.models["m"].model
        assert model.policy.thresholds != (0.0, 0.0)
        until(lambda: model.policy.thresholds == (0.0, 0.0))


def test_a_controller_learns_from_the_requests_of_each_context(exported, x):
    with a_server({"m": exported}, opening=Opening(threads=1, controller="adaee")) as server:
        for start in range(0, 60, 5):
            assert infer(server, x[start : start + 5], context="fog")[0] == 200
        (learned,) = server.service.models["m"].model.controller.statistics
        assert (learned.context, learned.samples) == ("fog", 60)


def test_a_controller_learns_once_from_a_request_that_is_sent_again(exported, x):
    with a_server({"m": exported}, opening=Opening(threads=1, controller="adaee")) as server:

        def send(batch, number):
            body = encode_inference_request(InferenceRequest(inputs={"image": batch}, all_binary=True, id=number))
            return ask(server, "POST", "/v2/models/m/infer", body.data, body.headers)[0]

        for batch, number, samples in (
            (x[:5], "a", 5),
            (x[:5], "a", 5),  # the retry of a client that got no answer
            (x[:5], "b", 10),
            (x[5:8], "a", 13),  # another request of a client that does not count its requests
            (x[:5], "", 18),  # without an id, every request is one of its own
            (x[:5], "", 23),
        ):
            assert send(batch, number) == 200
            learned = server.service.models["m"].model.controller.statistics
            assert sum(each.samples for each in learned) == samples


def test_contexts_have_their_own_thresholds(exported, x):
    from eenas.policies.kinds.context_policy import ContextPolicy

    with a_server({"m": exported}) as server:
        model = server.service.models["m"].model
        plain = model.policy
        never = replace(plain, thresholds=(None, None))
        model.set_policy(ContextPolicy(contexts=("fog",), policies=(never,), policy=plain))
        for context, expected in (("fog", never), ("rain", plain)):
            status, headers, body = infer(server, x, context=context)
            assert status == 200
            found = decode_inference_response(body, int(headers["inference-header-content-length"])).outputs["exits"]
            alone = load(exported, threads=1)
            alone.set_policy(expected)
            np.testing.assert_array_equal(found, alone.predict(x).exits)


def test_a_stopped_server_answers_what_it_accepted(exported, x):
    found = []
    with a_server({"m": exported}) as server:
        model = server.service.models["m"]
        gate = Gate(model.engine._segments[0])
        model.engine._segments = (gate, *model.engine._segments[1:])
        thread = threading.Thread(target=lambda: found.append(infer(server, x[:2])[0]))
        thread.start()
        assert gate.begun.wait(20)
        server.service.stop()
        assert error_of(infer(server, x[:1]))[0] == 503
        assert error_of(ask(server, path="/v2/health/ready"))[0] == 503
        gate.may.set()
    thread.join()
    assert found == [200]
    with pytest.raises(ConnectionError):
        ask(server)


def test_a_stop_ends_at_its_limit_and_its_messages_may_fail(exported, x):
    def broken(event):
        raise BrokenPipeError

    found = []
    with a_server({"m": exported}, limits=ServingLimits(stop_s=2), listener=broken) as server:
        model = server.service.models["m"]
        gate = Gate(model.engine._segments[0])
        model.engine._segments = (gate, *model.engine._segments[1:])
        thread = threading.Thread(target=lambda: found.append(error_of(infer(server, x[:1]))))
        thread.start()
        assert gate.begun.wait(20)
        began = time.monotonic()
    assert 1.9 < time.monotonic() - began < 3.5
    gate.may.set()
    thread.join()
    assert found == [(503, "the server stopped before the request was answered")]


def test_names_of_models_and_limits(tmp_path):
    assert named_folders([str(tmp_path / "one"), "two=x/y"]).keys() == {"one", "two"}
    for given, said in (
        ([], "no model"),
        (["a/b", "c/b"], "two models"),
        (["a/ü"], "NAME=FOLDER"),
    ):
        with pytest.raises(InputError, match=said):
            named_folders(given)
    for name, value in (("batch", 0), ("batch", 1.5), ("deadline_s", 0), ("rate", -1), ("body_mb", float("nan"))):
        with pytest.raises(EenasError, match=name):
            ServingLimits(**{name: value})


def test_a_message_of_grpc_is_parsed_only_after_the_token_was_checked(exported):
    grpc = pytest.importorskip("grpc")
    with (
        a_server({"m": exported}, token=TOKEN, grpc=True) as server,
        grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel,
    ):
        for method in ("ModelInfer", "ModelMetadata"):
            call = channel.unary_unary(f"/inference.GRPCInferenceService/{method}")
            for token, code in (("wrong", "UNAUTHENTICATED"), (TOKEN, "INVALID_ARGUMENT")):
                with pytest.raises(grpc.RpcError) as error:
                    call(b"\xff no message", metadata=(("authorization", f"Bearer {token}"),), timeout=30)
                assert error.value.code() == grpc.StatusCode[code]
                assert ("no " + method + "Request") in error.value.details() or code == "UNAUTHENTICATED"
