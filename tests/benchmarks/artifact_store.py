"""Writes and reads artifacts in a bucket whose server fails one request in ten, and counts what is lost.

    python tests/benchmarks/artifact_store.py --artifacts 2000 --threads 8

A server of S3 on loopback (moto) fails every tenth request: it is busy, refuses the connection, does the work but
loses the answer, ends the answer halfway, or ends the connection in the middle of the request. Each thread is a worker
with a cache of its own: it writes artifacts of 1 to 256 KB and reads each from another cache. At the end a worker with
an empty cache reads all of them again. Prints one JSON object: artifacts, requests and failed requests, artifacts that
are lost, and those that were ever read with another content. Ends with status 1 if there is one.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

from eenas.errors import StorageError
from eenas.records.artifacts import ArtifactStore
from eenas.records.stores.artifact_cache import ArtifactCache
from tests.bucket_servers import BUCKET, s3_environment, s3_server

PLACE, CACHE = f"s3://{BUCKET}/benchmark", 10**10


def store(folder: Path, name: str) -> ArtifactStore:
    """Return the store as a worker with a cache of its own has it."""
    return ArtifactStore(PLACE, cache=ArtifactCache(folder / name, CACHE))


def work(folder: Path, number: int, count: int, written: dict[str, bytes], wrong: list[str]) -> None:
    """Write and read `count` artifacts. `written` maps references to contents, `wrong` gets those read otherwise."""
    here, other, sizes = store(folder, f"here{number}"), store(folder, f"other{number}"), random.Random(number)
    for each in range(count):
        content = os.urandom(sizes.randint(1_000, 256_000))
        try:
            reference = here.write(f"table-{number}-{each}.npz", content)
        except StorageError as error:
            wrong.append(str(error))
            continue
        written[reference] = content
        try:
            if other.read(reference) != content:
                wrong.append(reference)
        except StorageError as error:
            wrong.append(str(error))


def main() -> int:
    """Run the benchmark and return the exit status."""
    parser = argparse.ArgumentParser(description="Artifacts in a bucket whose server fails one request in ten")
    parser.add_argument("--artifacts", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=8)
    given = parser.parse_args()
    written: dict[str, bytes] = {}
    wrong: list[str] = []
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name, s3_server(every=10) as (address, faults):
        os.environ |= s3_environment(address)
        folder, count = Path(name), given.artifacts // given.threads
        threads = [
            threading.Thread(target=work, args=(folder, number, count, written, wrong))
            for number in range(given.threads)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        last, lost = store(folder, "last"), given.threads * count - len(written)
        for reference, content in written.items():
            try:
                lost += last.read(reference) != content
            except StorageError as error:
                lost += 1
                wrong.append(str(error))
        facts = {
            "artifacts": given.threads * count,
            "megabytes": round(sum(map(len, written.values())) / 1e6, 1),
            "requests": faults.count,
            "failed": faults.failed,
            "lost": lost,
            "wrong": len(wrong),
            "seconds": round(time.monotonic() - began, 1),
        }
    print(json.dumps(facts))
    for text in wrong[:5]:
        print(text, file=sys.stderr)
    return int(bool(lost or wrong))


if __name__ == "__main__":
    sys.exit(main())
