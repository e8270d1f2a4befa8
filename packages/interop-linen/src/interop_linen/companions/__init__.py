"""Modules of Flax Linen for the layers that Linen has not and `interop_core.nn` has.

They are Linen modules of their own: they import flax and jax alone, and can be used without a
conversion. `to_linen` makes them, and `from_linen` reads them.
"""

from ._dropout import (
    AlphaDropout,
    Dropout1d,
    Dropout2d,
    Dropout3d,
    DropoutFixed,
    FeatureAlphaDropout,
)
from ._recurrent import (
    GRUCell,
    LSTMCell,
    MGUCell,
    StatefulGRUCell,
    StatefulLSTMCell,
    StatefulMGUCell,
    StatefulURLSTMCell,
    StatefulValinaRNNCell,
    URLSTMCell,
    ValinaRNNCell,
)

__all__ = [
    "AlphaDropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "DropoutFixed",
    "FeatureAlphaDropout",
    "GRUCell",
    "LSTMCell",
    "MGUCell",
    "StatefulGRUCell",
    "StatefulLSTMCell",
    "StatefulMGUCell",
    "StatefulURLSTMCell",
    "StatefulValinaRNNCell",
    "URLSTMCell",
    "ValinaRNNCell",
]
