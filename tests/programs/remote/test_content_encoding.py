"""Compressed bodies: both ways without loss, and damaged and exploding ones refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eenas.errors import EenasError, ProtocolError
from eenas.programs.remote import content_encoding
from eenas.programs.remote.content_encoding import (
    CONTENT_ENCODINGS,
    compressed_body,
    decompressed_body,
    installed_encodings,
)
from tests.fuzzing import check_one_line, examples, mutated_bytes

INSTALLED = installed_encodings()
EACH = pytest.mark.parametrize("encoding", INSTALLED)


@EACH
@given(data=st.binary(max_size=3000))
@settings(max_examples=examples(20), deadline=None)
def test_bodies_return_as_they_were(encoding, data):
    assert decompressed_body(compressed_body(data, encoding), encoding, len(data)) == data


@EACH
def test_bodies_beyond_the_limit_and_cut_ones_are_refused(encoding):
    packed = compressed_body(b"0" * 20_000_000, encoding)
    assert len(packed) < 1_000_000
    with pytest.raises(ProtocolError, match="unpacks to more than 1,000 bytes"):
        decompressed_body(packed, encoding, 1000)
    with pytest.raises(ProtocolError, match=r"cut off|not valid"):
        decompressed_body(packed[:-5], encoding, 30_000_000)
    with pytest.raises(ProtocolError, match=r"cut off|not valid"):
        decompressed_body(b"", encoding, 1000)


@EACH
@given(data=st.data())
@settings(max_examples=examples(40), deadline=None)
def test_damaged_bodies_are_refused_in_one_line(encoding, data):
    packed = data.draw(mutated_bytes(compressed_body(bytes(range(256)) * 4, encoding)))
    check_one_line(lambda: decompressed_body(packed, encoding, 5000))


def test_encodings_are_known_and_installed(monkeypatch):
    assert {"deflate", "gzip"} <= set(INSTALLED) <= set(CONTENT_ENCODINGS)
    assert compressed_body(b"a", "") == decompressed_body(b"a", "identity", 1) == b"a"
    with pytest.raises(ProtocolError, match="must be one of deflate, gzip, zstd, lz4"):
        decompressed_body(b"", "br", 1)
    monkeypatch.setitem(__import__("sys").modules, "zstandard", None)
    with pytest.raises(ProtocolError, match="needs the package zstandard"):
        compressed_body(b"a", "zstd")
    assert "zstd" not in content_encoding.installed_encodings()


@EACH
def test_unpacking_ends_as_soon_as_its_memory_is_refused(encoding):
    packed, sizes = compressed_body(b"0" * 30_000_000, encoding), []

    def grown(size):
        sizes.append(size)
        if sum(sizes) > 5_000_000:
            raise EenasError("no more memory")

    with pytest.raises(EenasError, match="no more memory"):
        decompressed_body(packed, encoding, 40_000_000, grown=grown)
    assert sum(sizes[:-1]) <= 5_000_000
    assert max(sizes) <= 1 << 20
    told = []
    assert decompressed_body(packed, encoding, 40_000_000, grown=told.append) == b"0" * 30_000_000
    assert sum(told) == 30_000_000
