"""Rows of convolutions."""

from __future__ import annotations

import numpy as np

from ._row import Row

BEYOND = "an option that the published layer does not have"

#: A mask of one output channel each, of 3 * 3 kernels for 2 inputs and 4 outputs.
MASK = np.array([1, 0, -1, 2], np.float32)
#: One of the kernels of a transposed convolution, whose outputs come before its inputs.
TRANSPOSED_MASK = MASK[:, None]

IMAGE, IMAGES = (5, 4, 2), (2, 5, 4, 2)

CONVOLUTIONS: tuple[Row, ...] = (
    Row("Conv1d", lambda nn: nn.Conv1d((6, 2), 3, 3), ((2, 6, 2),)),
    Row(
        "Conv1d",
        lambda nn: nn.Conv1d((6, 2), 3, 3, 2, (2, 1), rhs_dilation=2),
        ((2, 6, 2),),
        "stride, padding, dilation",
    ),
    Row("Conv2d", lambda nn: nn.Conv2d(IMAGE, 4, 3), (IMAGES,)),
    Row("Conv2d", lambda nn: nn.Conv2d(IMAGE, 4, 3), (IMAGE,), "no batch"),
    Row(
        "Conv2d",
        lambda nn: nn.Conv2d(IMAGE, 4, (3, 2), (2, 1), "VALID", b_init=nn.init.Constant(0.5)),
        (IMAGES,),
        "valid, stride, bias",
    ),
    Row(
        "Conv2d",
        lambda nn: nn.Conv2d((2, 5, 4), 4, 3, groups=2, w_mask=MASK, channel_first=True),
        ((2, 2, 5, 4),),
        "groups, mask, channels first",
    ),
    Row(
        "Conv2d",
        lambda nn: nn.Conv2d(IMAGE, 4, 3, padding=((1, 2), (0, 1)), lhs_dilation=2),
        (IMAGES,),
        "dilated input",
    ),
    Row(
        "Conv2d",
        lambda nn: nn.Conv2d(IMAGE, 4, 3, padding=1, padding_mode="REFLECT"),
        (IMAGES,),
        "mirrored",
        differs=BEYOND,
    ),
    Row("Conv3d", lambda nn: nn.Conv3d((3, 4, 3, 2), 2, 2), ((2, 3, 4, 3, 2),)),
    Row(
        "Conv3d",
        lambda nn: nn.Conv3d((3, 4, 3, 2), 2, (1, 2, 3), padding=(0, 1, 1), groups=2),
        ((2, 3, 4, 3, 2),),
        "groups, padding",
    ),
)

STANDARDISED: tuple[Row, ...] = (
    Row("ScaledWSConv1d", lambda nn: nn.ScaledWSConv1d((6, 2), 3, 3), ((2, 6, 2),)),
    Row(
        "ScaledWSConv1d",
        lambda nn: nn.ScaledWSConv1d((6, 2), 3, 3, 2, ws_gain=False, b_init=nn.init.Constant(0.5)),
        ((2, 6, 2),),
        "no gain, bias",
    ),
    Row("ScaledWSConv2d", lambda nn: nn.ScaledWSConv2d(IMAGE, 4, 3), (IMAGES,)),
    Row(
        "ScaledWSConv2d",
        lambda nn: nn.ScaledWSConv2d(
            (2, 5, 4), 4, 3, groups=2, eps=5.0, w_mask=MASK, channel_first=True
        ),
        ((2, 2, 5, 4),),
        "groups, mask, eps, channels first",
    ),
    Row("ScaledWSConv3d", lambda nn: nn.ScaledWSConv3d((3, 4, 3, 2), 2, 2), ((2, 3, 4, 3, 2),)),
)

TRANSPOSED: tuple[Row, ...] = (
    Row("ConvTranspose1d", lambda nn: nn.ConvTranspose1d((4, 2), 3, 3, 2), ((2, 4, 2),)),
    Row(
        "ConvTranspose1d",
        lambda nn: nn.ConvTranspose1d((4, 2), 3, 3, 2, (2, 1), rhs_dilation=2),
        ((2, 4, 2),),
        "padding, dilation",
    ),
    Row("ConvTranspose2d", lambda nn: nn.ConvTranspose2d((3, 4, 2), 4, 3), ((2, 3, 4, 2),)),
    Row("ConvTranspose2d", lambda nn: nn.ConvTranspose2d(IMAGE, 4, 3, 2), (IMAGE,), "no batch"),
    Row(
        "ConvTranspose2d",
        lambda nn: nn.ConvTranspose2d(
            (3, 4, 2), 4, (3, 2), (2, 3), "VALID", b_init=nn.init.Constant(0.5)
        ),
        ((2, 3, 4, 2),),
        "valid, stride, bias",
    ),
    Row(
        "ConvTranspose2d",
        lambda nn: nn.ConvTranspose2d(
            (2, 3, 4), 4, 3, 2, groups=2, w_mask=TRANSPOSED_MASK, channel_first=True
        ),
        ((2, 2, 3, 4),),
        "groups, mask, channels first",
    ),
    Row(
        "ConvTranspose3d",
        lambda nn: nn.ConvTranspose3d((2, 3, 2, 2), 2, 2, (1, 2, 1)),
        ((2, 2, 3, 2, 2),),
    ),
)

_UNSHARED = "the published library has no such layer"

UNSHARED: tuple[Row, ...] = (
    Row("ConvLocal1d", lambda nn: nn.ConvLocal1d((6, 2), 3, 3), ((2, 6, 2),), differs=_UNSHARED),
    Row("ConvLocal2d", lambda nn: nn.ConvLocal2d(IMAGE, 4, 3), (IMAGES,), differs=_UNSHARED),
    Row(
        "ConvLocal2d",
        lambda nn: nn.ConvLocal2d(
            IMAGE, 4, (3, 2), (2, 1), "VALID", b_init=nn.init.Constant(0.5), w_mask=MASK
        ),
        (IMAGES,),
        "valid, stride, bias, mask",
        differs=_UNSHARED,
    ),
    Row(
        "ConvLocal3d",
        lambda nn: nn.ConvLocal3d((2, 3, 2, 2), 2, 2),
        ((2, 2, 3, 2, 2),),
        differs=_UNSHARED,
    ),
)

ROWS: tuple[Row, ...] = CONVOLUTIONS + STANDARDISED + TRANSPOSED + UNSHARED
