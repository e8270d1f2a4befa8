"""Every check that the rows give rise to, on the real framework."""

from __future__ import annotations

import pytest

from interop_core.testing import Check, checks
from interop_linen import BRIDGE
from interop_linen.testing import HARNESS


@pytest.mark.generated
@pytest.mark.parametrize("check", checks(BRIDGE), ids=str)
def test_row(check: Check) -> None:
    check(HARNESS)
