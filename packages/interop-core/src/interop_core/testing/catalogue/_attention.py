"""Rows of attention and of what tells it positions."""

from __future__ import annotations

from ._row import Row

BEYOND = "the published library has no such layer"

ROWS: tuple[Row, ...] = (
    Row(
        "MultiHeadAttention",
        lambda nn: nn.MultiHeadAttention((3, 4), 2),
        ((2, 3, 4),),
        differs=BEYOND,
    ),
    Row(
        "MultiHeadAttention",
        lambda nn: nn.MultiHeadAttention(
            (3, 4),
            4,
            (3, 5),
            key_size=2,
            value_size=3,
            qk_size=3,
            vo_size=2,
            num_kv_heads=2,
            use_key_bias=False,
            normalize_qk=True,
        ),
        ((2, 3, 4), (2, 6, 2), (2, 6, 3)),
        "keys and values",
        differs=BEYOND,
    ),
    Row("RoPE", lambda nn: nn.RoPE((3, 4), theta=100.0), ((2, 3, 4),), differs=BEYOND),
)
