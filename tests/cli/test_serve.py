"""`eenas serve`: a process that answers, stops gracefully, and refuses settings that cannot work."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from typer.testing import CliRunner

from eenas.cli.main import app
from eenas.programs.remote.open_inference import InferenceRequest, encode_inference_request
from tests.exported import images
from tests.processes import Program

CODE = "from eenas.cli.main import main; main()"
ENDLESS = f"""
import sys, time, torch
from eenas.deployment.serving.engine import Engine
def endless(engine, k, block):
    print("begun", file=sys.stderr, flush=True)
    values, end = torch.ones(300, 300), time.monotonic() + 60
    while time.monotonic() < end:
        values @ values
Engine._ran_segment = endless
{CODE}
"""


def said(*arguments):
    found = CliRunner().invoke(app, ["serve", *map(str, arguments)])
    assert found.exit_code == 2, found.output
    assert "Traceback" not in found.output
    return " ".join(found.output.split())


def until_said(program, pattern):
    for _ in range(6000):
        if (found := re.search(pattern, program.err)) or program.ended:
            break
        time.sleep(0.02)
    assert found, program.err
    return found


def test_a_process_answers_and_ends_with_0_on_sigterm(exported):
    program = Program(CODE, "serve", exported, "--port", 0, "--grpc-port", 0, "--threads", 1)
    try:
        found = until_said(program, r"serving model on (http://127\.0\.0\.1:\d+) and grpc://")
        with urllib.request.urlopen(f"{found[1]}/v2/health/ready") as answer:
            assert answer.status == 200
        program.send(signal.SIGTERM)
        program.end(0)
        assert "stopping" in program.err
    finally:
        program.kill()


def test_a_process_ends_with_0_beside_a_segment_that_does_not_end(exported):
    words = [
        sys.executable,
        "-c",
        ENDLESS,
        "serve",
        str(exported),
        "--port",
        "0",
        "--no-grpc",
        "--stop",
        "1",
        "--workers",
        "1",
    ]
    body = encode_inference_request(InferenceRequest(inputs={"image": images()[0][:2]}))
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process, ThreadPoolExecutor() as pool:
        try:
            address = process.stderr.readline().split()[-1]
            request = urllib.request.Request(f"{address}/v2/models/model/infer", data=body.data, headers=body.headers)
            answer = pool.submit(urllib.request.urlopen, request)
            assert process.stderr.readline() == "begun\n"
            process.send_signal(signal.SIGTERM)
            with pytest.raises(urllib.error.HTTPError, match="503") as refused:
                answer.result()
            assert json.load(refused.value) == {"error": "the server stopped before the request was answered"}
            *_, last = process.stderr.read().splitlines()
            assert last == "1 request not answered within 1 s after the stop"
            assert process.wait(20) == 0
        finally:
            process.kill()


def test_a_process_whose_messages_nobody_reads_any_more_ends_with_0_on_sigterm(exported):
    words = [sys.executable, "-c", CODE, "serve", str(exported), "--port", "0", "--no-grpc", "--threads", "1"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        try:
            port = int(process.stderr.readline().rpartition(":")[2])
            process.stderr.close()
            with socket.create_connection(("127.0.0.1", port)) as idle:  # stays open
                idle.sendall(b"GET /v2/health/ready HTTP/1.1\r\nHost: a\r\n\r\n")
                assert idle.recv(1000).startswith(b"HTTP/1.1 200")
                process.send_signal(signal.SIGTERM)
                assert process.wait(20) == 0
        finally:
            process.kill()


def test_settings_that_cannot_work(exported, tmp_path, monkeypatch):
    assert "has no eenas.json" in said(tmp_path)
    assert "can be served from its exits, not from 'layer9'" in said(exported, "--from", "layer9")
    assert "--grpc-port and --no-grpc are mutually exclusive" in said(exported, "--no-grpc", "--grpc-port", 9)
    assert "give --certificate and --key" in said(exported, "--key", "a")
    assert "deadline_s must be a number above 0" in said(exported, "--deadline", 0)
    assert "two models are called 'model'" in said(exported, exported)
    (tmp_path / "token").write_text("short")
    assert "at least 8 ASCII characters" in said(exported, "--token-file", tmp_path / "token")
    found = said(exported, "--host", "no.such.host.invalid", "--port", 0)
    assert "warning: everyone who reaches no.such.host.invalid can use this server" in found
    assert "is not an address of this machine" in found


@pytest.mark.parametrize(
    ("package", "extra"),
    [("starlette", "serve"), ("uvicorn", "serve"), ("prometheus_client", "serve"), ("grpc", "grpc")],
)
def test_packages_that_are_missing_name_their_extra(exported, monkeypatch, package, extra):
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    assert f"pip install 'eenas[{extra}]'" in said(exported)
