"""The edge client: a model whose first segments run here and the rest on a server, while it answers."""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eenas.errors import InputError, LinkError, nearest
from eenas.policies.policy import Policy
from eenas.programs.manifest import Manifest
from eenas.programs.prediction import ExitCounts, Prediction
from eenas.programs.remote.cloud_part import CloudPart, CloudSamples
from eenas.programs.remote.edge_segments import EdgeAnswers, Tail, answer_on_edge
from eenas.programs.remote.http_channel import HttpTransport, Transport, WireReply, server_address
from eenas.programs.remote.remote_events import RemoteEvent, RemoteEvents
from eenas.programs.remote.remote_settings import RemoteSettings
from eenas.programs.remote.server_link import LinkCounts, ServerLink
from eenas.programs.remote.split_table import SplitRow, SplitSwitch
from eenas.programs.segments import Array, Segment
from eenas.tier_names import CLOUD_ONLY, EDGE_ONLY, codec_fault

EDGE_ANSWER, CLOUD_ANSWER = "edge", "cloud"
"""What `Prediction.answered` says of a sample that left before the split, and of one that the server answered."""


@dataclass(frozen=True, kw_only=True)
class RemoteStatistics:
    """The counts of a model with a server since its start.

    `local` samples left before the split, `remote` ones were answered by the server, and `fallback` ones by the last
    exit here, by reason. `edge_seconds` is the time in the segments here, `link` counts requests, bytes and seconds.
    """

    samples: int
    local: int
    remote: int
    fallback: dict[str, int] = field(default_factory=dict)
    edge_seconds: float
    link: LinkCounts


class EdgeClient:
    """The way of the samples of a model to a server and back. Threads may share it; requests then take turns.

    `splits` are the possible values of `split`: the cut points of the exits whose programs are here, "" (the input is
    sent) and "final" (nothing is sent); in an edge folder its split and "final".
    """

    def __init__(
        self,
        manifest: Manifest,
        segments: Sequence[Segment],
        settings: RemoteSettings,
        *,
        tail: Tail | None = None,
        transport: Transport | None = None,
    ) -> None:
        self._manifest, self._segments, self._tail, self._settings = manifest, tuple(segments), tail, settings
        half = manifest.split
        self.splits = (CLOUD_ONLY, *manifest.exits[:-1], EDGE_ONLY) if half is None else (half.at, EDGE_ONLY)
        self._events = RemoteEvents()
        self._switch: SplitSwitch | None = None
        self._split = EDGE_ONLY
        if settings.table is not None:
            settings.table.check(self.splits, len(manifest.points))
            for row in settings.table.rows:
                self._checked_split(row.split)
            self._switch = SplitSwitch(settings.table, self._events)
        else:
            self._split = self._checked_split(self._first_split())
        address = server_address(settings.url)
        self._cloud = CloudPart(manifest, address, codec=settings.codec, compression=settings.compression)
        self._cloud.listener = self._measure
        way = transport or HttpTransport(address, token=settings.token, ca_file=settings.ca_file)
        self._link = ServerLink(way, self._cloud.greet, retries=settings.retries, events=self._events)
        self._lock, self._answered = threading.Lock(), Counter[str]()
        self._edge_seconds = 0.0
        self._link.start()

    @property
    def split(self) -> str:
        """The split in use."""
        return self._split if self._switch is None else self._switch.row.split

    def set_split(self, split: str) -> None:
        """Change the split.

        Raises InputError for one that is not in `splits`, if a table chooses it, and if the codec does not fit there.
        """
        if self._switch is not None:
            raise InputError("a table chooses the split of this model; load it without one")
        if self._split != self._checked_split(split):
            self._events.add("split", self._split, split, "set")
            self._split = split

    @property
    def events(self) -> tuple[RemoteEvent, ...]:
        """The last 1,000 changes of the link and the split, oldest first; also in the log "eenas.remote"."""
        return self._events.kept

    @property
    def fault(self) -> str:
        """The reason why nothing is sent at present, such as "link lost", or "" if the server answers."""
        return self._link.fault

    @property
    def statistics(self) -> RemoteStatistics:
        """The counts since the start."""
        with self._lock:
            found, seconds = Counter(self._answered), self._edge_seconds
        local, remote = found.pop(EDGE_ANSWER, 0), found.pop(CLOUD_ANSWER, 0)
        reasons = {name.removeprefix(f"{EDGE_ANSWER}: "): count for name, count in sorted(found.items())}
        total = local + remote + sum(reasons.values())
        return RemoteStatistics(
            samples=total, local=local, remote=remote, fallback=reasons, edge_seconds=seconds, link=self._link.counts
        )

    def connect(self, seconds: float = 2.0) -> None:
        """Wait until the server answers, at most so long. Raises LinkError with the reason, for a refusal at once."""
        deadline = time.monotonic() + seconds
        try:
            self._link.connect(deadline)
        except LinkError as error:
            raise LinkError(f"{self._settings.url}: {error}; answers come from the edge until it works") from None

    def close(self) -> None:
        """Close the connection. The model still answers, by the exits here."""
        self._link.close()

    def answer(
        self, x: Array, policy: Policy, counts: ExitCounts, context: str | None = None, raw: NDArray[Any] | None = None
    ) -> Prediction:
        """Return the answers to x [N, ...], at the deadline at last. `answered` says where each comes from.

        Samples that no exit here releases are sent. Before the first segment, the samples of `raw` [N, ...] are sent,
        the batch that x was made from, if they are bytes. Those that the server does not answer in time leave at the
        last exit before the split. Raises LinkError if there is none.
        """
        deadline = time.monotonic() + self._settings.deadline_ms / 1e3
        with self._lock:
            row = SplitRow(split=self._split) if self._switch is None else self._switch.next_row()
        policy = policy if row.point is None else self._manifest.points[row.point].policy
        journey = Journey(split=row.split, policy=policy, deadline=deadline, context=context, raw=raw)
        found = self._on_edge(x, policy, row.split, counts)
        answered = np.full(len(x), EDGE_ANSWER, dtype=object)
        if len(found.staying):
            answered[found.staying] = self._finish(journey, found, counts)
        with self._lock:
            self._answered.update(answered.tolist())
        return Prediction(
            found.classes,
            found.exits,
            found.logits,
            self._manifest.exits,
            self._manifest.temperatures,
            answered=tuple(answered.tolist()),
        )

    def _checked_split(self, split: str) -> str:
        if split not in self.splits:
            raise InputError(f"this model has no split {split!r:.60}; {nearest(str(split), self.splits)}")
        codec = self._settings.codec
        if fault := codec_fault(codec, self._manifest.carried_at(split)):
            raise InputError(f"split {split!r}, codec {codec!r}: {fault}")
        return split

    def _first_split(self) -> str:
        """Return the split of the settings, of the folder, or of the operating point in use."""
        if self._settings.split is not None:
            return self._settings.split
        if self._manifest.split is not None:
            return self._manifest.split.at
        for point in self._manifest.points:
            if point.policy == self._manifest.policy and point.split in self.splits:
                return str(point.split)
        if self._manifest.best_split in self.splits:
            return str(self._manifest.best_split)
        names = ", ".join(map(repr, self.splits))
        raise InputError(f"{self._manifest.folder}: a whole model needs a split (split=..., --split CUT): {names}")

    def _on_edge(self, x: Array, policy: Policy, split: str, counts: ExitCounts) -> EdgeAnswers:
        """Run the segments up to the split, and answer the samples that leave there."""
        exits = self._manifest.exits
        local = self._segments if split not in exits[:-1] else self._segments[: exits.index(split) + 1]
        local = local[:0] if split == CLOUD_ONLY else local
        began = time.perf_counter()
        found = answer_on_edge(x, policy, local, counts, classes=len(self._manifest.classes))
        if self._tail is not None and split != EDGE_ONLY and len(found.staying):
            found.features = self._tail(found.features)
        if not np.isfinite(found.features).all():
            bad = int(np.flatnonzero(~np.isfinite(found.features).reshape(len(found.features), -1).all(axis=1))[0])
            raise InputError(
                f"the numbers of sample {found.staying[bad]} of {len(x)} overflow in the network: the features at "
                f"{split!r} are not finite; scale the batch as in training"
            )
        with self._lock:
            self._edge_seconds += time.perf_counter() - began
        return found

    def _finish(self, journey: "Journey", found: EdgeAnswers, counts: ExitCounts) -> list[str]:
        """Answer the samples that stay, in requests of at most `max_batch`. Returns what answered each of them."""
        total = len(found.staying)
        answered: list[str] = []
        reason = "" if journey.split != EDGE_ONLY else EDGE_ANSWER
        while len(answered) < total:
            if not reason:
                try:
                    self._link.wait(journey.deadline)  # then the limit of the server is known
                    size = min(self._settings.max_batch, self._cloud.most_samples(journey.split) or total)
                    rows = np.arange(len(answered), min(len(answered) + size, total))
                    self._in_cloud(journey, found, rows, counts)
                    answered += [CLOUD_ANSWER] * len(rows)
                    continue
                except LinkError as error:
                    reason = f"{EDGE_ANSWER}: {error}"
            rows = np.arange(len(answered), total)
            self._by_last_exit(journey, found, rows, counts, reason)
            answered += [reason] * len(rows)
        return answered

    def _in_cloud(self, journey: "Journey", found: EdgeAnswers, rows: NDArray[np.int64], counts: ExitCounts) -> None:
        """Let the server answer the samples in these rows of those that stay."""
        earlier = [each[rows] for each in found.earlier]
        no_logits = np.zeros((len(rows), 0, len(self._manifest.classes)), dtype=np.float32)
        features, places, raw = found.features[rows], found.staying[rows], journey.raw
        if journey.split == CLOUD_ONLY and raw is not None and raw.dtype == np.uint8:
            features = raw[places]
        samples = CloudSamples(
            split=journey.split,
            features=features,
            earlier=np.stack(earlier, axis=1) if earlier else no_logits,
            context=journey.context,
        )
        got = self._cloud.infer(self._link, samples, journey.deadline)
        found.classes[places], found.exits[places], found.logits[places] = got.classes, got.exits, got.logits
        for k in range(len(earlier), len(self._manifest.exits)):
            counts.add(k, int(np.count_nonzero(got.exits >= k)), int(np.count_nonzero(got.exits == k)), 0.0, 0.0)

    def _by_last_exit(
        self, journey: "Journey", found: EdgeAnswers, rows: NDArray[np.int64], counts: ExitCounts, reason: str
    ) -> None:
        """Let the last exit before the split answer the samples in these rows of those that stay."""
        chosen = np.zeros(len(found.staying), dtype=np.bool_)
        chosen[rows] = True
        if found.earlier:
            logits, state = found.earlier[-1][rows], found.state[chosen]
        elif self._segments:  # a split before the first exit of a whole model
            _, logits = self._segments[0](found.features[rows], None)
            _, state = journey.policy.decide(0, logits, journey.policy.start(len(rows)))
        else:
            raise LinkError(
                f"no exit here can answer ({reason.removeprefix(f'{EDGE_ANSWER}: ')}); try again, or split the model "
                "behind its first exit"
            )
        k, places = max(len(found.earlier) - 1, 0), found.staying[rows]
        found.classes[places], found.exits[places], found.logits[places] = journey.policy.answer(state), k, logits
        counts.add(k, 0 if found.earlier else len(rows), len(rows), 0.0, 0.0)

    def _measure(self, reply: WireReply) -> None:
        if self._switch is not None:
            with self._lock:
                self._switch.add(reply.sent, reply.seconds)


@dataclass(frozen=True, kw_only=True, eq=False)
class Journey:
    """What one batch goes by: split, policy, deadline on the clock of `time.monotonic`, context, and the raw batch."""

    split: str
    policy: Policy
    deadline: float
    context: str | None
    raw: NDArray[Any] | None
