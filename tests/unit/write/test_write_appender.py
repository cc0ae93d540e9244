import numpy as np

from promscout.model.series import SampleBatch, SeriesTable
from promscout.write.appender import Fanout


class Recorder:
    def __init__(self, log):
        self.log = log

    def append(self, batch):
        self.log.append((self, batch))


def test_a_fanout_hands_every_batch_to_every_appender_in_order():
    log = []
    first, second = Recorder(log), Recorder(log)
    batches = [SampleBatch(SeriesTable(1, []), np.empty(0), 0) for _ in range(2)]
    fanout = Fanout(first, second)
    for batch in batches:
        fanout.append(batch)
    assert log == [(first, batches[0]), (second, batches[0]), (first, batches[1]), (second, batches[1])]
