"""What all processes of a server say to Prometheus, added up: takes their files, gives its text.

The processes share their numbers in files of the data folder's `run/metrics`; the api process has
its own in memory, among them every series that is known beforehand, as zero. Counters and
histograms are sums over all processes, also over those that have ended; of a gauge the files say
how it is joined.
"""

from __future__ import annotations

import operator
import os
import platform
from collections import Counter
from collections.abc import Iterable, Iterator

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.samples import Sample

from headcount import __version__
from headcount.datafolder import DataFolder
from headcount.runfiles import ChildState, read_whole
from headcount.wiring.known_series import ROLES, begin_with_zeros

__all__ = ["Exposition"]

_OURS = "headcount_"
# A file may be taken over by the next process of its role while they are read.
_ATTEMPTS = 3


class Exposition:
    """The metrics of one server, as its api process tells them.

    Args:
        folder: the data folder.
        shared: whether the processes can share their numbers; otherwise this one's are told.
    """

    def __init__(self, folder: DataFolder, *, shared: bool) -> None:
        self._folder = folder
        self._shared = shared
        begin_with_zeros()

    def text(self) -> str:
        """All of it in Prometheus' text format."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry).decode()

    def collect(self) -> Iterator[Metric]:
        """The families, as prometheus-client asks for them."""
        own = {each.name: each for each in REGISTRY.collect() if each.name.startswith(_OURS)}
        for shared in self._of_files():
            if (mine := own.pop(shared.name, None)) is not None:
                shared.samples = _joined(shared, mine.samples)
            yield shared
        yield from own.values()
        yield self._endings()
        yield from self._file_system()
        build = GaugeMetricFamily(
            "headcount_build_info",
            "1, with the version that runs and that of Python as labels.",
            labels=["version", "python"],
        )
        build.add_metric([__version__, platform.python_version()], 1)
        yield build

    def _of_files(self) -> Iterable[Metric]:
        if not self._shared or not self._folder.metrics.is_dir():
            return ()
        files = MultiProcessCollector(None, path=str(self._folder.metrics))  # type: ignore[no-untyped-call]
        for attempt in range(_ATTEMPTS):
            try:
                return list(files.collect())  # type: ignore[no-untyped-call]
            except FileNotFoundError:
                if attempt + 1 == _ATTEMPTS:
                    raise
        return ()

    def _endings(self) -> Metric:
        """How often processes have ended: the supervisor has no metrics of its own."""
        endings = Counter(dict.fromkeys(ROLES, 0))
        for state in read_whole(self._folder.state, list[ChildState]) or []:
            endings[state.role] += state.endings
        family = GaugeMetricFamily(
            "headcount_process_endings",
            "How often processes of a role have ended without having been told to, since they last"
            " lived for a while.",
            labels=["role"],
        )
        for role, times in sorted(endings.items()):
            family.add_metric([role], times)
        return family

    def _file_system(self) -> Iterator[Metric]:
        """How much room the data folder's file system has; nothing where it does not answer."""
        try:
            found = os.statvfs(self._folder.path)
        except OSError:
            return
        yield GaugeMetricFamily(
            "headcount_data_filesystem_size_bytes",
            "Size of the file system that holds the data folder.",
            found.f_blocks * found.f_frsize,
        )
        yield GaugeMetricFamily(
            "headcount_data_filesystem_free_bytes",
            "What is free for the server on the file system that holds the data folder.",
            found.f_bavail * found.f_frsize,
        )


def _joined(shared: Metric, own: list[Sample]) -> list[Sample]:
    found: dict[tuple[object, ...], Sample] = {}
    join = max if shared.type == "gauge" else operator.add
    for sample in (*shared.samples, *own):
        series = (sample.name, *sorted(sample.labels.items()))
        former = found.get(series)
        value = sample.value if former is None else join(former.value, sample.value)
        found[series] = sample._replace(value=value)
    return list(found.values())
