"""The classes of the protocol's messages over gRPC, made when they are needed from the descriptors beside this file.

No code is generated, so that any version of protobuf that reads descriptors will do. The descriptors are in a pool of
their own, because other libraries in the process may have their own copy of the protocol.
"""

from functools import cache
from pathlib import Path
from typing import Any

from eenas.errors import ExportError

SERVICE = "inference.GRPCInferenceService"
"""The full name of the service."""

METHODS = ("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer")
"""Its methods. Each takes a message `{method}Request` and returns `{method}Response`."""


@cache
def message_class(name: str) -> Any:
    """Return the class of a message by its name in the protocol, such as "ModelInferRequest"."""
    from google.protobuf.message_factory import GetMessageClass

    return GetMessageClass(_pool().FindMessageTypeByName(f"inference.{name}"))


@cache
def _pool() -> Any:
    try:
        from google.protobuf.descriptor_pb2 import FileDescriptorSet
        from google.protobuf.descriptor_pool import DescriptorPool
    except ImportError:
        raise ExportError("gRPC needs the package protobuf; pip install 'eenas[grpc]', or give --no-grpc") from None
    pool = DescriptorPool()
    data = Path(__file__).with_name("open_inference.binpb").read_bytes()
    for file in FileDescriptorSet.FromString(data).file:
        pool.Add(file)
    return pool
