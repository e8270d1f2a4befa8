"""The layer library: one flat public namespace over private files by family."""

from __future__ import annotations

from . import init
from ._collective import call_all_fns, call_order, init_all_states, reset_all_states
from ._conv import Conv1d, Conv2d, Conv3d
from ._dropout import Dropout
from ._embedding import Embedding
from ._flatten import Flatten, MoveAxis
from ._linear import Linear
from ._module import ElementWiseBlock, Module
from ._pooling import AvgPool1d, AvgPool2d, AvgPool3d, MaxPool1d, MaxPool2d, MaxPool3d
from ._sequential import Sequential

__all__ = [
    # base
    "ElementWiseBlock",
    "Module",
    "Sequential",
    "init",
    # collective
    "call_all_fns",
    "call_order",
    "init_all_states",
    "reset_all_states",
    # linear
    "Linear",
    # convolution
    "Conv1d",
    "Conv2d",
    "Conv3d",
    # pooling and shape
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "Flatten",
    "MoveAxis",
    # embedding
    "Embedding",
    # dropout
    "Dropout",
]
