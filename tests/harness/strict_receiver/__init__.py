"""A receiver of remote write that accepts nothing but what the specifications allow, and remembers what it took.

``python -m harness.strict_receiver --port N --record FILE`` runs it as a program of its own, so that it can be killed
outright; ``peers.StrictReceiver`` starts it for tests. It reads requests with the official protobuf schemas
(``harness.prompb``) and imports nothing of promscout, so that it cannot share promscout's mistakes.

* ``reading``: a body as series, and what is wrong with its form
* ``rules``: what the specifications say about headers, labels, samples, exemplars
* ``histograms``: the same about native histograms
* ``history``: the order of each series over all requests
* ``record``: what was taken and what was wrong, in a file that outlives the process
* ``faults``: wrong answers on purpose, by seed
* ``server``: all of it behind HTTP
"""
