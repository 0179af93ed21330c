"""Headers and addresses of clients, as both protocols read them."""

import pytest

from eenas.deployment.serving.grpc_service import _host
from eenas.deployment.serving.http_app import _accepted


@pytest.mark.parametrize(
    ("header", "encoding"),
    [
        ("", ""),
        ("gzip", "gzip"),
        ("deflate, GZIP;q=0.5", "gzip"),
        ("gzip;q=0, deflate", "deflate"),
        ("gzip; q=0.000,br", ""),
        ("gzip;q=0.001", "gzip"),
    ],
)
def test_the_encoding_of_a_response_is_one_that_the_client_accepts(header, encoding):
    assert _accepted(header) == encoding


@pytest.mark.parametrize(
    ("peer", "host"),
    [("ipv4:127.0.0.1:5000", "127.0.0.1"), ("ipv6:%5B::1%5D:5000", "::1"), ("ipv6:[fe80::1]:80", "fe80::1")],
)
def test_a_client_has_one_address_for_both_protocols(peer, host):
    assert _host(peer) == host
