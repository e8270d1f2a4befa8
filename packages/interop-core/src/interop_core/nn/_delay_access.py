"""An object that reads one entry of a delay."""

from __future__ import annotations

from typing import Any

from .. import _structure
from ..graph import Node
from ._delay import Delay

__all__ = ["DelayAccess"]


class DelayAccess(Node):
    """Reads one entry of a delay when it is called.

    Args:
        delay: the delay.
        *time: the time and indices, as for `Delay.register_delay`.
        entry: the name to register them under.

    Example:
        >>> import numpy as np
        >>> delay = Delay(np.zeros((), np.float32))
        >>> newest = DelayAccess(delay, None, entry="newest")
        >>> delay.init_state()
        >>> delay.update(3.0)
        >>> float(newest())
        3.0
    """

    def __init__(self, delay: Delay, *time: Any, entry: Any) -> None:
        self.delay = delay
        self.entry = entry
        delay.register_entry(entry, *time)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Read the entry.

        Args:
            *args: ignored.
            **kwargs: ignored.
        """
        return self.delay.at(self.entry)


_structure.register(DelayAccess)
