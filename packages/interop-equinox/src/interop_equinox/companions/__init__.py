"""Equinox modules for layers of the core that Equinox itself has not.

Each takes one example, as all of Equinox does, spatial ones with the channels first, and needs
nothing but jax and Equinox to run. `to_equinox` makes them, and they can be made by hand as well.
"""

from __future__ import annotations

from ._activation import RReLU, Softmax2d, Threshold, Unflatten
from ._normalisation import ScaleAndShift
from ._padding import ConstantPad1d, ConstantPad2d, ConstantPad3d
from ._pooling import LPPool1d, LPPool2d, LPPool3d
from ._recurrent import GRUCell, LSTMCell, MGUCell, URLSTMCell, ValinaRNNCell

__all__ = [
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "GRUCell",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "LSTMCell",
    "MGUCell",
    "RReLU",
    "ScaleAndShift",
    "Softmax2d",
    "Threshold",
    "URLSTMCell",
    "Unflatten",
    "ValinaRNNCell",
]
