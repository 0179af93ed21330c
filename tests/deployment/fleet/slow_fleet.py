"""A slow, obvious simulation of a fleet: every event of every queue passes through one heap."""

from collections import deque
from heapq import heappop, heappush

import numpy as np

ARRIVED, PROCESSED, SENT, AT_SERVER, WORKED, TIMER = range(6)


class SlowFleet:
    """Samples i = 0..R-1 of `work` (a DeviceWork); `there` [R] passes between device and server."""

    def __init__(self, work, there, queue, exits, part_ms):
        self.work, self.there, self.queue, self.exits, self.part_ms = work, there, queue, exits, part_ms
        self.factors = queue.factors()
        self.events, self.order = [], 0
        self.processors = {device: deque() for device in set(work.owners.tolist())}
        self.links = {device: deque() for device in self.processors}
        self.waiting, self.free = [], queue.workers
        count = len(work.owners)
        self.finished, self.sending, self.sent, self.begun, self.answered = np.full((5, count), np.nan)
        for sample in range(count):
            self.at(work.arrived[sample], ARRIVED, sample)

    def at(self, time, kind, what):
        self.order += 1
        heappush(self.events, (time, self.order, kind, what))

    def run(self):
        while self.events:
            time = self.events[0][0]
            while self.events and self.events[0][0] == time:
                self.handle(*heappop(self.events))
            self.form_batches(time)
        return self

    def handle(self, time, _, kind, what):
        if kind == ARRIVED:
            line = self.processors[self.work.owners[what]]
            line.append(what)
            if len(line) == 1:
                self.at(time + self.work.device_ms[what], PROCESSED, what)
        elif kind == PROCESSED:
            self.finished[what] = time
            line = self.processors[self.work.owners[what]]
            line.popleft()
            if line:
                self.at(time + self.work.device_ms[line[0]], PROCESSED, line[0])
            if self.work.sends[what]:
                link = self.links[self.work.owners[what]]
                link.append(what)
                if len(link) == 1:
                    self.send_next(time, link)
        elif kind == SENT:
            self.sent[what] = time
            self.at(time + self.there[what], AT_SERVER, what)
            link = self.links[self.work.owners[what]]
            link.popleft()
            self.send_next(time, link)
        elif kind == AT_SERVER:
            self.waiting.append((time, what))
            self.at(time + self.queue.wait_ms, TIMER, None)
        elif kind == WORKED:
            self.free += 1

    def send_next(self, time, link):
        while link and time >= self.work.given_up[link[0]]:
            link.popleft()
        if link:
            self.sending[link[0]] = time
            self.at(time + self.work.link_ms[link[0]], SENT, link[0])

    def form_batches(self, time):
        self.waiting = [each for each in self.waiting if time < self.work.given_up[each[1]]]
        while self.free and self.waiting:
            full = len(self.waiting) >= self.queue.max_batch
            if not full and time < self.waiting[0][0] + self.queue.wait_ms:
                return
            batch = []
            while self.waiting and len(batch) < self.queue.max_batch:
                batch.append(self.waiting.pop(0)[1])
            self.free -= 1
            now = time
            for part in range(max(self.exits[sample] for sample in batch) + 1):
                staying = [sample for sample in batch if self.exits[sample] >= part]
                now += self.part_ms[part] * self.factors[len(staying)]
                for sample in staying:
                    if self.exits[sample] == part:
                        self.begun[sample], self.answered[sample] = time, now
            self.at(now, WORKED, None)
