"""Servers of the smallest exported model, and models of stubs."""

import shutil
import subprocess
import threading
from contextlib import contextmanager

import numpy as np
import pytest

from eenas.deployment.serving.limits import ServingLimits
from eenas.deployment.serving.metrics import ServingMetrics
from eenas.deployment.serving.opening import Opening, open_models
from eenas.deployment.serving.server import Address, serving
from eenas.deployment.serving.service import Service
from eenas.programs.runtime import load
from tests.exported import images


@contextmanager
def a_server(folders, *, opening=None, limits=None, token=None, grpc=False, listener=None, **address):
    """A running server of folders by name."""
    limits, metrics = limits or ServingLimits(), ServingMetrics()
    models = open_models(folders, opening or Opening(threads=1, workers=2), limits, metrics)
    service = Service(models, limits, metrics)
    where = Address(**{"port": 0, "grpc_port": 0 if grpc else None, "token": token, **address})
    with serving(service, where, *([] if listener is None else [listener])) as server:
        server.service = service
        yield server


@pytest.fixture(scope="session")
def server(exported):
    """A server of the smallest model over HTTP and gRPC; shared, for requests only."""
    with a_server({"smallest": exported}, grpc=True) as found:
        yield found


@pytest.fixture(scope="session")
def x():
    return images()[0]


@pytest.fixture(scope="session")
def raw():
    return images()[1]


@pytest.fixture(scope="session")
def expected(exported, x):
    """The answers of the runtime in this process."""
    return load(exported, threads=1).predict(x)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A certificate for this machine, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"),
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return folder / "cert.pem", folder / "key.pem"


class Gate:
    """A segment that waits until it may go on, and says that it has begun."""

    def __init__(self, segment, *, opened=False):
        self.segment, self.begun, self.may, self.sizes = segment, threading.Event(), threading.Event(), []
        if opened:
            self.may.set()

    def __call__(self, x, previous):
        self.begun.set()
        assert self.may.wait(30)
        self.sizes.append(len(x))
        return self.segment(x, previous)


def stub(last=False):
    """A segment of three classes: the confidence of a sample is its first value, its class the second."""

    def run(x, previous):
        logits = np.full((len(x), 3), -50.0, dtype=np.float32)
        chosen = x[:, 1].astype(int)
        p = np.clip(x[:, 0], 1e-6, 1 - 1e-6)
        logits[:] = 0.0
        logits[np.arange(len(x)), chosen] = np.log(2 * p / (1 - p))  # of softmax p over three
        return (None if last else x + np.float32([0.2, 0])), logits

    return run
