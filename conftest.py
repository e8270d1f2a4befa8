"""What holds for every test: how hypothesis draws, and where tests that need a GPU are skipped."""

from __future__ import annotations

import jax
import pytest

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a GPU, with the reason, where JAX has none."""
    needy = [item for item in items if item.get_closest_marker("gpu")]
    if needy and jax.default_backend() == "cpu":
        skip = pytest.mark.skip(reason="needs a GPU: scripts/gpu-check runs it where there is one")
        for item in needy:
            item.add_marker(skip)
