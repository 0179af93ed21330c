"""The way to a server behind a slow link: the first questions get as many round trips as they need."""

import gc
import threading
import time

import pytest

from eenas.errors import LinkError
from eenas.programs.remote.http_channel import HttpChannel, WireRequest, time_left
from eenas.programs.remote.server_link import ServerLink

TRIP = 0.2


class SlowTransport:
    """A server that answers after a round trip of TRIP seconds."""

    is_reusable = True

    def resolve(self):
        pass

    def connect(self, deadline):
        time.sleep(TRIP)
        return self

    def close(self):
        pass


def greeting(trips):
    def greet(channel, deadline):
        for _ in range(trips):
            time.sleep(TRIP)
            time_left(deadline)

    return greet


def test_a_server_four_slow_round_trips_away_is_accepted():
    link = ServerLink(SlowTransport(), greeting(4))
    link.start()
    try:
        link.wait(time.monotonic() + 5)
        assert link.fault == ""
    finally:
        link.close()


def test_a_greeting_without_end_is_given_up():
    link = ServerLink(SlowTransport(), greeting(100))
    link.start()
    try:
        with pytest.raises(LinkError, match="lost"):
            link.wait(time.monotonic() + 10)
    finally:
        link.close()


class NoTransport:
    """A server that is away."""

    def resolve(self):
        pass

    def connect(self, deadline):
        raise ConnectionRefusedError


def test_a_link_that_nobody_has_any_more_ends_its_thread():
    link = ServerLink(NoTransport(), greeting(0))
    before = set(threading.enumerate())
    link.start()
    with pytest.raises(LinkError, match="lost"):
        link.wait(time.monotonic() + 10)
    (thread,) = set(threading.enumerate()) - before
    del link
    gc.collect()
    thread.join(10)
    assert not thread.is_alive()


class SlowSocket:
    """A connection that takes a record of TLS in each call, and 0.1 s for it, within its time limit."""

    calls = 0

    def settimeout(self, seconds):
        assert seconds > 0

    def send(self, data):
        time.sleep(0.1)
        self.calls += 1
        return min(len(data), 16_384)

    def sendall(self, data):
        while data:
            data = data[self.send(data) :]

    def close(self):
        pass


def test_a_request_that_is_taken_slowly_ends_at_its_deadline():
    connection = SlowSocket()
    channel = HttpChannel(connection, {})
    with pytest.raises(TimeoutError):
        channel.exchange(WireRequest(method="POST", path="/", body=bytes(1_000_000)), time.monotonic() + 0.3)
    assert connection.calls <= 3  # of 62; a fourth one would begin after the deadline
