"""A store for the processes of one start: that of torchrun still holds what ended processes left in it."""

import time
import uuid

from torch.distributed.distributed_c10d import PrefixStore, Store

_ROOT = "eenas"
_PAUSE = 0.02  # seconds between two looks at the store


def fresh_store(store: Store, rank: int, size: int) -> Store:
    """Return a part of `store` that only the `size` processes of this start use. All of them call.

    Otherwise a restarted process reads the address of one that was killed. The number of restarts does not tell starts
    apart, since nodes count their own. So process 0 offers a new name with the marks that it read of all processes, and
    the name counts once every process has found its own new mark beside it.
    """
    offer, marks = f"{_ROOT}/{size}/offer", [f"{_ROOT}/{size}/mark/{other}" for other in range(1, size)]
    if rank == 0:
        name = _offered(store, offer, marks)
    else:
        own = uuid.uuid4().hex
        store.set(marks[rank - 1], own)
        name = _accepted(store, offer, rank, own)
    return PrefixStore(f"{_ROOT}/{name}", store)


def _offered(store: Store, offer: str, marks: list[str]) -> str:
    name, read = "", list[str]()
    while True:
        if store.check(marks):
            found = [store.get(mark).decode() for mark in marks]
            if found != read:
                name, read = uuid.uuid4().hex, found
                store.set(offer, " ".join((name, *found)))
            elif store.add(f"{_ROOT}/{name}/seen", 0) == len(marks):
                store.set(f"{_ROOT}/{name}/counts", "1")
                return name
        time.sleep(_PAUSE)


def _accepted(store: Store, offer: str, rank: int, own: str) -> str:
    last = ""
    while True:
        if store.check([offer]):
            name, *found = store.get(offer).decode().split()
            if found[rank - 1] == own:
                if name != last:
                    store.add(f"{_ROOT}/{name}/seen", 1)
                    last = name
                if store.check([f"{_ROOT}/{name}/counts"]):
                    return name
        time.sleep(_PAUSE)
