"""A receiver in memory: decodes what it takes, and answers as a test says."""

import asyncio
from collections import defaultdict

import numpy as np

from promscout.model.series import SampleBatch, SeriesTable
from promscout.write.sender import Sent
from unit.write.write_wire import decode_request


class FakeReceiver:
    """A ``Sender``. ``answers`` are given one by one, then ``Sent``; each takes ``latency`` seconds."""

    def __init__(self, *answers, latency=0.0):
        self.answers = list(answers)
        self.latency = latency
        self.requests = []  # (time at which it came, attempt, number of samples)
        self.samples = defaultdict(list)  # series → [(value, timestamp)] in the order taken
        self.at_once = self.most_at_once = 0

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        return None

    async def send(self, request, attempt):
        body = request.body
        series = decode_request(body)
        self.requests.append((asyncio.get_running_loop().time(), attempt, len(series)))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(self.latency)
        finally:
            self.at_once -= 1
        outcome = self.answer()
        if outcome == Sent():
            for labels, samples in series:
                self.samples[labels] += [(float(np.uint64(bits).view(np.float64)), stamp) for bits, stamp in samples]
        return outcome

    def answer(self):
        return self.answers.pop(0) if self.answers else Sent()

    @property
    def count(self):
        return sum(map(len, self.samples.values()))

    def values(self, **labels):
        """The values taken for the one series that has ``labels``."""
        wanted = set(labels.items())
        (found,) = [samples for series, samples in self.samples.items() if wanted <= set(series)]
        return [value for value, _ in found]


class Target:
    """Makes the batches of one stream: ``series`` series whose value is the number of the batch."""

    def __init__(self, stream, series=1):
        labels = [(("__name__", "m"), ("n", str(index)), ("stream", str(stream))) for index in range(series)]
        self.table = SeriesTable.from_label_sets(stream, labels)
        self.scrapes = 0

    def batch(self, timestamp):
        self.scrapes += 1
        return SampleBatch(self.table, np.full(len(self.table), float(self.scrapes)), timestamp)
