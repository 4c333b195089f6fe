"""A closed loop of HTTP requests: each connection sends its next request when the answer to the last one is there."""

import http.client
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass
class Result:
    """`seconds` from the first request to the last answer; `took` ms of each request; `answers` in order of connection."""

    seconds: float
    took: list[float]
    answers: list[list[bytes]] = field(repr=False)

    def percentile(self, share: float) -> float:
        """The request time in ms that `share` (0 to 1) of the requests did not exceed."""
        ordered = sorted(self.took)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    @property
    def median(self) -> float:
        """The middle request time in ms."""
        return statistics.median(self.took)


def together(workers: Sequence[Callable[[], None]]) -> float:
    """Runs the workers at the same time, one thread each, and returns the seconds until the last one was done."""
    ready = threading.Barrier(len(workers) + 1)
    failures: list[BaseException] = []

    def run(worker: Callable[[], None]) -> None:
        ready.wait()
        try:
            worker()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    ready.wait()
    begun = time.perf_counter()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begun
    if failures:
        raise failures[0]
    return seconds


def post(
    port: int,
    path: str,
    bodies: Sequence[Sequence[bytes]],
    headers: Sequence[dict[str, str]],
    keep: bool = True,
) -> Result:
    """Sends each connection's bodies one after another; raises RuntimeError for any answer but 200."""
    took: list[list[float]] = [[] for _ in bodies]
    answers: list[list[bytes]] = [[] for _ in bodies]

    def connection(index: int) -> Callable[[], None]:
        def run() -> None:
            link = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            for body, own in zip(bodies[index], headers[index], strict=True):
                fixed = {"Content-Type": "application/json", **own}
                begun = time.perf_counter()
                link.request("POST", path, body, fixed)
                answer = link.getresponse()
                data = answer.read()
                took[index].append((time.perf_counter() - begun) * 1000)
                if answer.status != 200:
                    raise RuntimeError(f"{answer.status}: {data[:400]!r}")
                if keep:
                    answers[index].append(data)
            link.close()

        return run

    seconds = together([connection(index) for index in range(len(bodies))])
    return Result(seconds, [each for one in took for each in one], answers)
