"""The requests from which a controller has learned, so that one that is sent again teaches it nothing."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable

import numpy as np

from eenas.programs.remote.open_inference import InferenceRequest

_MOST = 10_000


class LearnedRequests:
    """The last 10,000 requests with an id from which a controller has learned.

    A client that got no answer repeats its request with the same id. Requests are the same if their id, parameters and
    inputs are; so clients that use an id twice for different samples lose nothing.
    """

    def __init__(self) -> None:
        self._digests: OrderedDict[bytes, None] = OrderedDict()

    def first(self, request: InferenceRequest) -> Callable[[], bool]:
        """Return a function that says whether the request is the first of its kind, and remembers it.

        It is called in one thread at a time.
        """
        digest = _digest(request)

        def is_new() -> bool:
            if digest in self._digests:
                return False
            self._digests[digest] = None
            if len(self._digests) > _MOST:
                self._digests.popitem(last=False)
            return True

        return is_new


def _digest(request: InferenceRequest) -> bytes:
    found = hashlib.blake2b(repr((request.id, sorted(request.parameters.items()))).encode(), digest_size=16)
    for name, array in sorted(request.inputs.items()):
        found.update(repr((name, array.dtype.str, array.shape)).encode())
        found.update(np.ascontiguousarray(array).data)
    return found.digest()
