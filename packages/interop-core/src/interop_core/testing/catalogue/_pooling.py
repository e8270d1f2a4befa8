"""Rows of pooling and reshaping."""

from __future__ import annotations

import numpy as np

from ._row import Row

BEYOND = "an option, or a layer, that the published package does not have"

#: Positions in a batch of two series of 6 entries, 2 channels each: of 3 windows of 2 entries.
POSITIONS = np.array([[[0, 3], [4, 7], [10, 9]], [[12, 13], [18, 17], [20, 23]]], np.int32)
#: Positions in a batch of two images of 4 * 4 entries, 1 channel: of 2 * 2 windows.
PLACES = np.array([[0, 3, 9, 14], [21, 18, 28, 31]], np.int32).reshape(2, 2, 2, 1)
#: Positions in a batch of two volumes of 2 * 2 * 4 entries, 1 channel: of 1 * 1 * 2 windows.
POINTS = np.array([[5, 11], [16, 31]], np.int32).reshape(2, 1, 1, 2, 1)
#: Positions in a batch of two images of 5 * 7 entries, 1 channel: of 2 * 2 windows.
FAR = np.array([[0, 4, 16, 34], [37, 40, 57, 61]], np.int32).reshape(2, 2, 2, 1)

POOLING: tuple[Row, ...] = (
    Row("AvgPool1d", lambda nn: nn.AvgPool1d(2), ((2, 6, 3),)),
    Row("AvgPool1d", lambda nn: nn.AvgPool1d(3, 2, "SAME", in_size=(6, 3)), ((2, 6, 3),), "same"),
    Row("AvgPool2d", lambda nn: nn.AvgPool2d(2, 2, in_size=(5, 6, 3)), ((2, 5, 6, 3),)),
    Row("AvgPool2d", lambda nn: nn.AvgPool2d((3, 2), (2, 1), 1), ((2, 5, 6, 2),), "padding"),
    Row("AvgPool2d", lambda nn: nn.AvgPool2d(2, 2, channel_axis=-3), ((2, 3, 4, 6),), "first"),
    Row("AvgPool2d", lambda nn: nn.AvgPool2d(2, 2, channel_axis=None), ((2, 4, 6),), "bare"),
    Row(
        "AvgPool2d",
        lambda nn: nn.AvgPool2d(3, 2, 1, count_include_pad=True),
        ((2, 5, 6, 2),),
        "count",
        differs=BEYOND,
    ),
    Row("AvgPool3d", lambda nn: nn.AvgPool3d(2), ((2, 3, 4, 3, 2),)),
    Row("MaxPool1d", lambda nn: nn.MaxPool1d(2), ((2, 6, 3),)),
    Row(
        "MaxPool1d",
        lambda nn: nn.MaxPool1d(2, return_indices=True),
        ((2, 6, 3),),
        "indices",
        differentiable=False,  # the published layer cannot be differentiated then
    ),
    Row("MaxPool2d", lambda nn: nn.MaxPool2d(2, in_size=(5, 6, 3)), ((2, 5, 6, 3),)),
    Row("MaxPool2d", lambda nn: nn.MaxPool2d(3, 2, "SAME"), ((2, 5, 6, 2),), "same"),
    Row("MaxPool2d", lambda nn: nn.MaxPool2d((3, 2), (2, 1), 1), ((2, 5, 6, 2),), "padding"),
    Row("MaxPool2d", lambda nn: nn.MaxPool2d(2, channel_axis=-3), ((2, 3, 4, 6),), "first"),
    Row(
        "MaxPool2d",
        lambda nn: nn.MaxPool2d(2, return_indices=True),
        ((2, 4, 6, 2),),
        "indices",
        differentiable=False,
    ),
    Row("MaxPool3d", lambda nn: nn.MaxPool3d(2), ((2, 3, 4, 3, 2),)),
    Row("LPPool1d", lambda nn: nn.LPPool1d(2, 2), ((2, 6, 3),)),
    Row("LPPool1d", lambda nn: nn.LPPool1d(2.5, 3, 2, in_size=(6, 3)), ((2, 6, 3),), "exponent"),
    Row("LPPool2d", lambda nn: nn.LPPool2d(2, 2, in_size=(5, 6, 3)), ((2, 5, 6, 3),)),
    Row("LPPool2d", lambda nn: nn.LPPool2d(3, (3, 2), (2, 1), 1), ((2, 5, 6, 2),), "padding"),
    Row("LPPool2d", lambda nn: nn.LPPool2d(1, 2, 1, "SAME"), ((2, 4, 5, 2),), "magnitudes"),
    Row("LPPool2d", lambda nn: nn.LPPool2d(2, 2, channel_axis=-3), ((2, 3, 4, 6),), "first"),
    Row("LPPool3d", lambda nn: nn.LPPool3d(2, 2), ((2, 3, 4, 3, 2),)),
    Row("AdaptiveAvgPool1d", lambda nn: nn.AdaptiveAvgPool1d(3), ((2, 7, 3),)),
    Row("AdaptiveAvgPool2d", lambda nn: nn.AdaptiveAvgPool2d(2), ((2, 5, 6, 3),)),
    Row(
        "AdaptiveAvgPool2d",
        lambda nn: nn.AdaptiveAvgPool2d((3, None), in_size=(5, 6, 3)),
        ((2, 5, 6, 3),),
        "one axis",
    ),
    Row(
        "AdaptiveAvgPool2d",
        lambda nn: nn.AdaptiveAvgPool2d((2, 3), channel_axis=-3),
        ((2, 3, 5, 6),),
        "first",
    ),
    Row("AdaptiveAvgPool3d", lambda nn: nn.AdaptiveAvgPool3d((1, 2, 3)), ((2, 3, 3, 4, 2),)),
    Row("AdaptiveMaxPool1d", lambda nn: nn.AdaptiveMaxPool1d(3), ((2, 7, 3),)),
    Row("AdaptiveMaxPool2d", lambda nn: nn.AdaptiveMaxPool2d(2), ((2, 5, 6, 3),)),
    Row(
        "AdaptiveMaxPool2d",
        lambda nn: nn.AdaptiveMaxPool2d((3, None), in_size=(5, 6, 3)),
        ((2, 5, 6, 3),),
        "one axis",
    ),
    Row(
        "AdaptiveMaxPool2d",
        lambda nn: nn.AdaptiveMaxPool2d((2, 3), channel_axis=None),
        ((2, 5, 6),),
        "bare",
    ),
    Row("AdaptiveMaxPool3d", lambda nn: nn.AdaptiveMaxPool3d((1, 2, 3)), ((2, 3, 3, 4, 2),)),
    Row("MaxUnpool1d", lambda nn: nn.MaxUnpool1d(2), ((2, 3, 2), POSITIONS)),
    Row("MaxUnpool2d", lambda nn: nn.MaxUnpool2d(2), ((2, 2, 2, 1), PLACES)),
    Row(
        "MaxUnpool2d",
        lambda nn: nn.MaxUnpool2d((3, 5), (2, 2)),
        ((2, 2, 2, 1), FAR),
        "stride",
    ),
    Row(
        "MaxUnpool2d",
        lambda nn: nn.MaxUnpool2d(4, 2, 1, channel_axis=-3),
        ((2, 1, 2, 2), PLACES.reshape(2, 1, 2, 2)),
        "padding",
    ),
    Row("MaxUnpool3d", lambda nn: nn.MaxUnpool3d(2), ((2, 1, 1, 2, 1), POINTS)),
)

RESHAPING: tuple[Row, ...] = (
    Row("Flatten", lambda nn: nn.Flatten(), ((2, 3, 4),)),
    Row("Flatten", lambda nn: nn.Flatten(1, 2), ((2, 3, 4),), "axes"),
    Row("Flatten", lambda nn: nn.Flatten(in_size=(3, 4)), ((2, 3, 4),), "size"),
    Row("Unflatten", lambda nn: nn.Unflatten(1, (2, 3)), ((2, 6, 4),)),
    Row("Unflatten", lambda nn: nn.Unflatten(-1, [2, -1]), ((2, 3, 4),), "rest"),
    Row(
        "Unflatten",
        lambda nn: nn.Unflatten(-2, (2, 3), in_size=(6, 4)),
        ((2, 6, 4),),
        "size",
    ),
    Row("MoveAxis", lambda nn: nn.MoveAxis(-1, -3), ((2, 3, 4, 5),), differs=BEYOND),
    Row(
        "MoveAxis",
        lambda nn: nn.MoveAxis((-1, -2), (-3, -1), in_size=(3, 4, 5)),
        ((2, 3, 4, 5),),
        "several",
        differs=BEYOND,
    ),
)

ROWS: tuple[Row, ...] = POOLING + RESHAPING
