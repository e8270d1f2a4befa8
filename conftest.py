"""What holds for every test: the random numbers that it draws, and where it is skipped."""

from __future__ import annotations

import sys

import jax
import pytest

from interop_core import random

try:
    from hypothesis import HealthCheck, settings
except ImportError:  # a machine where scripts/gpu-check runs may not have it
    pass
else:
    # Drawing is fixed, so a failure is there again on the next run. A first example compiles, which
    # says nothing about the code under test: no deadline, and slow is not unhealthy.
    settings.register_profile(
        "house",
        derandomize=True,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("house")


def pytest_configure() -> None:
    """Let what is drawn while tests are collected be the same in every run."""
    random.seed(0)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Begin each test, its fixtures included, with the same random numbers, in whatever order."""
    random.seed(0)
    published = sys.modules.get("brainstate")
    if published is not None:
        published.random.seed(0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a GPU, with the reason, where JAX has none."""
    needy = [item for item in items if item.get_closest_marker("gpu")]
    if needy and jax.default_backend() == "cpu":
        skip = pytest.mark.skip(reason="needs a GPU: scripts/gpu-check runs it where there is one")
        for item in needy:
            item.add_marker(skip)
