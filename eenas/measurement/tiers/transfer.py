"""The expected time of one request over a kept TCP connection: slow start, losses and the round trip."""

import math

SEGMENT = 1448
"""Bytes of data in a full TCP segment: 1500 of Ethernet without the headers of IP and TCP and the time stamps."""
HEADERS = 66
"""Bytes that Ethernet, IP and TCP (with time stamps) add to each segment."""
FIRST_WINDOW = 10
"""Segments that may be sent before the first acknowledgement (RFC 6928), at the start and after idling (RFC 5681)."""
RETRANSMISSION_MS = 200.0
"""The shortest time beyond a round trip after which TCP sends an unacknowledged segment again (Linux)."""


def transfer_ms(size: float, *, mbit: float, round_trip_ms: float, loss: float = 0.0, warm: bool = False) -> float:
    """Return the milliseconds from the first byte of a message sent until its last byte is received.

    A message of `size` bytes takes its time on the wire at `mbit`, half a round trip, the pauses of slow start, and
    the expected time of resending lost segments, each lost with the probability `loss`. The terms are those of
    Cardwell, Savage and Anderson, "Modeling TCP latency", INFOCOM 2000, without the handshake: slow start up to the
    first expected loss, its recovery, and the rest at the throughput of Mathis, Semke, Mahdavi and Ott, "The
    macroscopic behavior of the TCP congestion avoidance algorithm", 1997. A lost last segment is found by a probe after
    two round trips (RFC 8985), or after a timeout where it is the only one. A `warm` connection, which idled for less
    than the timeout, has a window that no longer limits messages of this size.
    """
    segments = max(math.ceil(size / SEGMENT), 1)
    wire = 8e-3 / mbit  # ms of a byte
    each = (SEGMENT + HEADERS) * wire
    sending = (size + segments * HEADERS) * wire
    started = segments
    if loss > 0:
        started = min(segments, math.floor((1 - (1 - loss) ** segments) * (1 - loss) / loss) + 1)
    pauses = 0.0 if warm else _pauses(started, each, round_trip_ms)
    rest = segments - started
    slower = max(rest * (_mathis_ms(loss, round_trip_ms) - each), 0.0) if rest else 0.0
    return sending + pauses + slower + round_trip_ms / 2 + _recovery(segments, loss, round_trip_ms)


def _pauses(segments: int, each: float, round_trip_ms: float) -> float:
    """Return the time in which slow start waits for acknowledgements; windows double until they fill a round trip."""
    window, left, paused = FIRST_WINDOW, segments, 0.0
    while left > window and (pause := round_trip_ms + each - window * each) > 0:
        paused += pause
        left -= window
        window *= 2
    return paused


def _mathis_ms(loss: float, round_trip_ms: float) -> float:
    """Return the time of a segment in congestion avoidance: round trip x sqrt(2 p / 3)."""
    return round_trip_ms * math.sqrt(2 * loss / 3)


def _recovery(segments: int, loss: float, round_trip_ms: float) -> float:
    """Return the expected delay of the last byte by lost segments: one before the end, and the end itself."""
    if loss == 0:
        return 0.0
    timeout = round_trip_ms + RETRANSMISSION_MS
    probe = timeout if segments == 1 else min(2 * round_trip_ms, timeout)
    again = 1 / (1 - loss)  # a segment that is sent again may be lost again
    earlier = (1 - (1 - loss) ** (segments - 1)) * (1 - loss)
    return again * (earlier * round_trip_ms + loss * probe)
