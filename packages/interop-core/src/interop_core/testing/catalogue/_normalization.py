"""Rows of normalisation."""

from __future__ import annotations

from ._row import Row

BEYOND = "the published library has no such layer"

FIT, USE = {"fit": True}, {"fit": False}

BATCH: tuple[Row, ...] = (
    Row("BatchNorm0d", lambda nn: nn.BatchNorm0d(3), ((4, 3),), steps=2, context=FIT),
    Row("BatchNorm0d", lambda nn: nn.BatchNorm0d(3), ((4, 3),), "no fit", context=USE),
    Row("BatchNorm1d", lambda nn: nn.BatchNorm1d((4, 3)), ((2, 4, 3),), steps=2, context=FIT),
    Row("BatchNorm1d", lambda nn: nn.BatchNorm1d((4, 3)), ((2, 4, 3),), "no fit", context=USE),
    Row(
        "BatchNorm1d",
        lambda nn: nn.BatchNorm1d((4, 3), affine=False, momentum=0.5, epsilon=0.1),
        ((2, 4, 3),),
        "not affine, momentum, epsilon",
        steps=2,
        context=FIT,
    ),
    Row("BatchNorm2d", lambda nn: nn.BatchNorm2d((3, 4, 2)), ((2, 3, 4, 2),), steps=2, context=FIT),
    Row(
        "BatchNorm2d",
        lambda nn: nn.BatchNorm2d((3, 4, 2), momentum=0.9, use_fast_variance=False),
        ((2, 3, 4, 2),),
        "exact variance",
        steps=2,
        context=FIT,
    ),
    Row(
        "BatchNorm2d", lambda nn: nn.BatchNorm2d((3, 4, 2)), ((2, 3, 4, 2),), "no fit", context=USE
    ),
    Row(
        "BatchNorm2d",
        lambda nn: nn.BatchNorm2d((3, 4, 2), track_running_stats=False, affine=False),
        ((2, 3, 4, 2),),
        "own statistics",
        context=USE,
        differs="the published layer does nothing here, where its documentation says it normalises",
    ),
    Row("BatchNorm3d", lambda nn: nn.BatchNorm3d((2, 3, 2, 2)), ((2, 2, 3, 2, 2),), context=FIT),
    Row(
        "BatchNorm3d",
        lambda nn: nn.BatchNorm3d((2, 3, 2, 2)),
        ((2, 2, 3, 2, 2),),
        "no fit",
        context=USE,
    ),
)

OTHER: tuple[Row, ...] = (
    Row("LayerNorm", lambda nn: nn.LayerNorm(4)),
    Row("LayerNorm", lambda nn: nn.LayerNorm(4, use_bias=False, epsilon=0.1), case="no bias"),
    Row(
        "LayerNorm",
        lambda nn: nn.LayerNorm((3, 4), (0, 1), (0, 1), use_fast_variance=False),
        ((2, 3, 4),),
        "two axes, exact variance",
    ),
    Row(
        "LayerNorm",
        lambda nn: nn.LayerNorm((3, 4), use_scale=False, use_bias=False),
        ((2, 3, 4),),
        "no parameters",
    ),
    Row("RMSNorm", lambda nn: nn.RMSNorm(4)),
    Row("RMSNorm", lambda nn: nn.RMSNorm(4, use_scale=False, epsilon=0.1), case="no scale"),
    Row("RMSNorm", lambda nn: nn.RMSNorm((3, 4), reduction_axes=(0, 1)), ((2, 3, 4),), "two axes"),
    Row("GroupNorm", lambda nn: nn.GroupNorm(4, num_groups=2), ((2, 3, 4),)),
    Row(
        "GroupNorm",
        lambda nn: nn.GroupNorm(4, num_groups=None, group_size=1, epsilon=0.1),
        ((2, 3, 4),),
        "group size, epsilon",
    ),
    Row(
        "GroupNorm",
        lambda nn: nn.GroupNorm(4, num_groups=4, use_bias=False, use_scale=False),
        ((2, 3, 4),),
        "no parameters",
    ),
    Row("InstanceNorm", lambda nn: nn.InstanceNorm(4), ((2, 3, 4),), differs=BEYOND),
    Row(
        "InstanceNorm",
        lambda nn: nn.InstanceNorm(4, epsilon=0.1, use_bias=False),
        ((2, 3, 4),),
        "no bias",
        differs=BEYOND,
    ),
    Row("WeightNorm", lambda nn: nn.WeightNorm(nn.Linear(3, 4)), ((2, 3),), differs=BEYOND),
    Row(
        "WeightNorm",
        lambda nn: nn.WeightNorm(
            nn.Conv1d((5, 3), 4, 2), feature_axes=(0, 2), epsilon=0.1, use_scale=False
        ),
        ((2, 5, 3),),
        "two axes, no scale",
        differs=BEYOND,
    ),
    Row(
        "SpectralNorm",
        lambda nn: nn.SpectralNorm(nn.Linear(3, 4)),
        ((2, 3),),
        steps=2,
        context=FIT,
        differs=BEYOND,
    ),
    Row(
        "SpectralNorm",
        lambda nn: nn.SpectralNorm(nn.Conv1d((5, 3), 4, 2), n_steps=2, keep_v=True),
        ((2, 5, 3),),
        "both vectors kept",
        steps=2,
        context=FIT,
        differs=BEYOND,
    ),
)

ROWS: tuple[Row, ...] = BATCH + OTHER
