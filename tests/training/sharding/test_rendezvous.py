"""A store of one start: processes do not read what ended ones left, whichever of them comes first."""

import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from torch.distributed import HashStore

from eenas.training.sharding.rendezvous import fresh_store


def start(store, size, seed):
    """One start of `size` processes in any order. What each reads of the others' addresses."""
    late = random.Random(seed)

    def process(rank, seconds):
        time.sleep(seconds)
        fresh = fresh_store(store, rank, size)
        fresh.set(f"address/{rank}", f"{seed}-{rank}")
        return [fresh.get(f"address/{other}").decode() for other in range(size)]

    with ThreadPoolExecutor(size) as pool:
        waits = [late.uniform(0, 0.2) for _ in range(size)]
        return list(pool.map(process, range(size), waits))


@pytest.mark.parametrize("size", [2, 3])
def test_a_start_reads_no_address_of_an_earlier_one(size):
    store = HashStore()
    for seed in range(4):
        wanted = [f"{seed}-{rank}" for rank in range(size)]
        assert start(store, size, seed) == [wanted] * size


def test_a_mark_of_a_killed_process_does_not_make_a_start():
    store = HashStore()
    store.set("eenas/2/mark/1", "of one that was killed")
    store.set("eenas/2/offer", "old of one that was killed")
    assert start(store, 2, 7) == [["7-0", "7-1"]] * 2
