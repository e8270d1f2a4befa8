"""One measurement of scripts/bench in a process of its own, printed as JSON.

bench_fresh.py import ours            seconds of CPU that importing takes beyond importing jax
bench_fresh.py first ours to_nnx a    seconds of the first conversion in the process
bench_fresh.py memory ours to_nnx b   peak memory of one conversion beyond what was in use, in bytes
"""

from __future__ import annotations

import gc
import importlib
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

STATUS = Path("/proc/self/status")
RESET_PEAK = Path("/proc/self/clear_refs")


def seconds_to_import(subject: str) -> float:
    """Import jax, then the umbrella or the published package on top of it.

    Imports run in one thread, so CPU time is what a machine with nothing else to do takes.
    """
    importlib.import_module("jax")
    started = time.process_time()
    importlib.import_module({"ours": "brainstate_interop", "peer": "brainstate"}[subject])
    return time.process_time() - started


def seconds_of_first(subject: str, operation: str, size_name: str) -> float:
    """Convert a model that its own framework made; frameworks and converter are imported before."""
    import jax

    import bench_models as models

    size = models.SIZES[size_name]
    way, framework = operation.split("_")
    made = (
        models.core_model(subject, size) if way == "to" else models.foreign_model(framework, size)
    )
    if subject == "ours":
        importlib.import_module(f"interop_{framework}")
    convert = models.conversion(subject, operation, made)
    jax.block_until_ready(models.arrays_of(made))
    gc.collect()
    started = time.perf_counter()
    result = convert()
    seconds = time.perf_counter() - started
    arrays = models.arrays_of(result)
    started = time.perf_counter()
    jax.block_until_ready(arrays)
    return seconds + time.perf_counter() - started


def memory_in_use(key: str) -> int:
    """Bytes that Linux reports for this process: ``VmRSS`` now, or ``VmHWM`` at most so far."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) * 1024


def extra_memory(subject: str, operation: str, size_name: str) -> int | None:
    """Peak memory of a conversion beyond what was in use; ``None`` where Linux is not there."""
    if not RESET_PEAK.exists():
        return None
    import jax

    import bench_models as models

    size = models.SIZES[size_name]
    way, framework = operation.split("_")

    def make(size: models.Size) -> object:
        if way == "to":
            return models.core_model(subject, size)
        return models.foreign_model(framework, size)

    # Compiled functions need memory too; one layer brings them.
    small = models.conversion(subject, operation, make(replace(size, layers=1)))()
    jax.block_until_ready(models.arrays_of(small))
    del small
    made = make(size)
    jax.block_until_ready(models.arrays_of(made))
    convert = models.conversion(subject, operation, made)
    gc.collect()
    before = memory_in_use("VmRSS")
    RESET_PEAK.write_text("5")
    result = convert()
    jax.block_until_ready(models.arrays_of(result))
    return memory_in_use("VmHWM") - before


def main() -> None:
    """Measure what the command line says."""
    what, *arguments = sys.argv[1:]
    measures = {"import": seconds_to_import, "first": seconds_of_first, "memory": extra_memory}
    print(json.dumps(measures[what](*arguments)))  # type: ignore[operator]


if __name__ == "__main__":
    main()
