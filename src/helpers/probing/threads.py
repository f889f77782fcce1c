"""Run independent trainings in threads of one torch thread each."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch


def run_in_threads(work: Callable[[Any], Any], tasks: Sequence[Any], workers: int) -> list:
    """Return ``work(task)`` of every task in their order; with several workers each uses one torch thread.

    Tensors made by a task are of torch's inference mode, which costs less for each of many small products: use their values.
    """
    threads = torch.get_num_threads()

    def start():
        # Softmax tails underflow; products with denormals are many times slower. The flag is each thread's own.
        torch.set_flush_denormal(True)
        if workers > 1:
            torch.set_num_threads(1)

    def inferred(task):
        with torch.inference_mode():
            return work(task)

    try:
        with ThreadPoolExecutor(workers, initializer=start) as pool:
            return list(pool.map(inferred, tasks))
    finally:
        torch.set_num_threads(threads)
