"""Links that are cut under load: every request is answered in time and once, and the server answers again soon."""

import threading
import time

import numpy as np
import pytest

from eenas.programs.runtime import load

from .cut_proxy import CUTS, CutProxy
from .model_server import ModelServer, serving

DEADLINE_MS = 1000.0
LEEWAY = 1.0  # seconds beyond the deadline, for a busy machine


@pytest.fixture
def whole(exported):
    return load(exported, threads=1)


@pytest.fixture
def server(exported):
    return ModelServer(exported)


def test_every_request_is_answered_in_time_and_once_however_the_link_is_cut(exported, server, whole, batch):
    expected, exits = whole.predict(batch), np.stack(whole.logits(batch), axis=1)
    recoveries, answers, stop = {}, [], threading.Event()
    with serving(server) as url:
        proxy = CutProxy(int(url.rpartition(":")[2]))
        model = load(exported, threads=1, remote=proxy.url, split="0", deadline_ms=DEADLINE_MS)
        model.remote.connect(20)

        def load_it(seed):
            random = np.random.default_rng(seed)
            while not stop.is_set():
                rows = random.choice(len(batch), size=int(random.integers(1, 9)), replace=False)
                began = time.perf_counter()
                answers.append((rows, model.predict(batch[rows]), time.perf_counter() - began))
                time.sleep(0.002)

        threads = [threading.Thread(target=load_it, args=(seed,)) for seed in range(2)]
        for thread in threads:
            thread.start()
        random = np.random.default_rng(7)
        try:
            for how in CUTS:
                time.sleep(float(random.uniform(0.05, 0.2)))
                proxy.cut(how)
                time.sleep(float(random.uniform(0.2, 0.5)))
                proxy.restore()
                began, before = time.perf_counter(), model.remote.statistics.remote
                while model.remote.statistics.remote == before:
                    assert time.perf_counter() - began < 20, (how, model.remote.fault)
                    time.sleep(0.005)
                recoveries[how] = time.perf_counter() - began
        finally:
            stop.set()
            for thread in threads:
                thread.join(30)
            model.remote.close()
            proxy.close()
    assert {how: seconds for how, seconds in recoveries.items() if seconds > 2 + LEEWAY} == {}
    assert max(seconds for _, _, seconds in answers) < DEADLINE_MS / 1e3 + LEEWAY
    reasons = set()
    for rows, found, _ in answers:
        assert len(found.answered) == len(rows)
        for row, class_, exit_, answered in zip(rows, found.classes, found.exits, found.answered, strict=True):
            local = answered.startswith("edge")
            assert exit_ == (0 if local else expected.exits[row])
            assert class_ == (exits[row, 0].argmax() if local else expected.classes[row])
            reasons.add(answered)
    assert {"edge", "cloud", "edge: link lost"} <= reasons
    counts = model.remote.statistics
    assert counts.samples == sum(len(rows) for rows, _, _ in answers)
    assert counts.remote == sum(found.answered.count("cloud") for _, found, _ in answers)


def test_bytes_that_trickle_in_do_not_move_the_deadline(exported, batch):
    import socket

    listener = socket.create_server(("127.0.0.1", 0))

    def trickle():
        connection, _ = listener.accept()
        try:
            while True:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX: "[:1])
                time.sleep(0.02)
        except OSError:
            connection.close()

    threading.Thread(target=trickle, daemon=True).start()
    model = load(
        exported, threads=1, remote=f"http://127.0.0.1:{listener.getsockname()[1]}", split="0", deadline_ms=300
    )
    began = time.perf_counter()
    assert {one.partition(":")[0] for one in model.predict(batch).answered} == {"edge"}
    assert time.perf_counter() - began < 0.3 + LEEWAY
    model.remote.close()
    listener.close()


def test_a_head_that_is_cut_off_is_no_answer():
    import http.client
    import socket

    from eenas.programs.remote.http_channel import HttpChannel, WireRequest

    for head in (b"HTTP/1.1 200 OK\r\nContent-", b"HTTP/1.1 200 OK\r\nContent-Length: 3", b"HTTP/1.1 200 OK\r\n\r\n{}"):
        here, there = socket.socketpair()
        there.sendall(head)
        there.shutdown(socket.SHUT_WR)
        channel = HttpChannel(here, {})
        with pytest.raises(http.client.HTTPException):
            channel.exchange(WireRequest(method="GET", path="/"), time.monotonic() + 5)
        assert not channel.is_reusable
        channel.close()
        there.close()


def test_a_server_that_is_restarted_is_found_again(exported, server, batch):
    with serving(server) as url:
        port = int(url.rpartition(":")[2])
        model = load(exported, threads=1, remote=url, split="0", deadline_ms=5000)
        model.remote.connect(20)
        assert "cloud" in model.predict(batch).answered
    for _ in range(200):
        if "edge: link lost" in model.predict(batch).answered:
            break
        time.sleep(0.01)
    with serving(server, port):
        began = time.perf_counter()
        while "cloud" not in model.predict(batch).answered:
            assert time.perf_counter() - began < 2 + LEEWAY, model.remote.fault
            time.sleep(0.01)
    changes = [(one.old, one.new) for one in model.remote.events if one.kind == "link"]
    assert ("up", "link lost") in changes
    model.remote.close()
