"""What the local store costs: bytes and CPU for each sample, of a node_exporter's bodies that are read again and again.

``benchmarks/store.py BODIES`` takes a directory of bodies, in the order of their names, as scraped 15 s apart. All are
appended to a journal, which becomes Parquet every forty of them, as every ten minutes in an agent.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from promscout.exposition.series import parse_series
from promscout.exposition.text import parse_text
from promscout.model.labels import label_set
from promscout.model.series import SampleBatch, SeriesTable
from promscout.store.fold import fold
from promscout.store.order import Folded, Order, Retention
from promscout.write.journal import Journal
from promscout.write.record import Record
from promscout.write.templates import Templates

_INTERVAL_MS = 15_000
_A_FOLD = 40
_DAY_MS = 86_400_000


class Store:
    """A store that takes bodies, and counts what they cost."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._journal = Journal(root / "journal")
        self._journal.open()
        self._templates = Templates({}, ())
        self._tables: dict[tuple[int, bytes], SeriesTable] = {}
        self._number = 0
        self.samples = 0
        self.appending = self.folding = 0.0
        self.usage = Folded().usage

    def append(self, body: bytes, targets: int, now_ms: int) -> None:
        """One scrape of each target."""
        exposition = parse_text(body)
        records = []
        for target in range(targets):
            key = target, b"\n".join(exposition.keys)
            if key not in self._tables:
                more = {"job": "node", "instance": f"node-{target}:9100"}
                sets = [label_set(dict(parse_series(one)) | more) for one in exposition.keys]
                self._tables[key] = SeriesTable.from_label_sets(target, sets)
            self._number += 1
            batch = SampleBatch(self._tables[key], exposition.values, now_ms + target)
            records.append(Record(self._number, now_ms, self._templates.portion(batch)))
            self.samples += len(batch)
        begin = time.process_time()
        self._journal.append(records)
        self.appending += time.process_time() - begin

    def fold(self, now_ms: int) -> None:
        """Turn what there is into Parquet."""
        self._journal.rotate()
        segments = self._journal.closed()
        begin = time.process_time()
        folded = fold(Order(str(self._root), tuple(map(str, segments)), Retention(15 * _DAY_MS), now_ms))
        self.folding += time.process_time() - begin
        if folded.error:
            raise SystemExit(folded.error)
        self.usage = folded.usage
        for path in segments:
            self._journal.remove(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bodies", type=Path, help="a directory of scraped bodies")
    parser.add_argument("--targets", type=int, default=1, help="how many targets expose each body (default: 1)")
    options = parser.parse_args()
    now_ms = time.time_ns() // 1_000_000
    with tempfile.TemporaryDirectory() as directory:
        store = Store(Path(directory))
        for index, path in enumerate(sorted(options.bodies.iterdir()), 1):
            now_ms += _INTERVAL_MS
            store.append(path.read_bytes(), options.targets, now_ms)
            if index % _A_FOLD == 0:
                store.fold(now_ms)
        store.fold(now_ms)
        millions = store.samples / 1e6
        print(f"samples          {store.samples:,}")
        print(f"bytes a sample   {store.usage.bytes / store.samples:.2f} in {store.usage.files} files")
        print(f"journal          {store.appending / millions:.3f} CPU-s per million samples")
        print(
            f"Parquet          {store.folding / millions:.3f} CPU-s per million, {store.samples / store.folding:,.0f}/s"
        )


if __name__ == "__main__":
    main()
