"""Rows of containers and wrappers."""

from __future__ import annotations

from typing import Any

from ._row import Row


def _map(nn: Any, **options: Any) -> Any:
    """Three lanes of a recurrent cell, each with states for a batch of two."""
    layer = nn.Map(nn.GRUCell(4, 3), 3, **options)
    layer.init_all_states(batch_size=2)
    return layer


ROWS: tuple[Row, ...] = (
    Row("Sequential", lambda nn: nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))),
    Row(
        "Sequential",
        lambda nn: nn.Sequential(nn.Linear(4, 5), nn.tanh, nn.LayerNorm((5,))),
        case="function",
        tolerance=1e-5,
    ),
    Row(
        "Sequential",
        lambda nn: nn.Sequential(
            nn.Conv2d((6, 6, 2), 3, 3),
            nn.BatchNorm2d((6, 6, 3)),
            nn.Tanh(),
            nn.MaxPool2d(2, 2),
            nn.Flatten(-3),
            nn.Linear(27, 2),
        ),
        ((2, 6, 6, 2),),
        "image",
        context={"fit": True},
        tolerance=2e-5,
    ),
    Row(
        "Sequential",
        lambda nn: nn.Sequential(nn.Linear(4, 5), nn.LSTMCell(5, 3), nn.GRUCell(3, 2)),
        case="recurrent",
        batch=2,
        steps=3,
        tolerance=1e-5,
    ),
    Row("EnvironContext", lambda nn: nn.EnvironContext(nn.Dropout(0.5), fit=False)),
    Row(
        "EnvironContext",
        lambda nn: nn.EnvironContext(nn.BatchNorm0d(4), fit=True),
        ((5, 4),),
        "layer with statistics",
        steps=2,
        tolerance=1e-5,
    ),
    Row("Vmap", lambda nn: nn.Vmap(nn.Linear(4, 3)), ((5, 2, 4),)),
    Row(
        "Vmap",
        lambda nn: nn.Vmap(nn.LayerNorm((4,)), in_axes=1, out_axes=-1),
        ((2, 5, 4),),
        "in_axes and out_axes",
        tolerance=1e-5,
    ),
    Row("Map", _map, ((3, 2, 4),), steps=2),
    Row(
        "Map",
        lambda nn: _map(nn, in_axes=1, out_axes=1),
        ((2, 3, 4),),
        "in_axes and out_axes",
    ),
    Row("Map", lambda nn: _map(nn, init_state_axes={1: ...}), ((3, 2, 4),), "init_state_axes"),
)
