"""Stands in for the framework, so that the skeleton works: import the real one in its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp


class Layer:
    """What every layer of the framework is made from."""


class Linear(Layer):
    """An affine map of the last axis; the weight is stored with the outputs first."""

    def __init__(
        self, in_features: int, out_features: int, use_bias: bool = True, *, seed: int = 0
    ) -> None:
        self.in_features = in_features
        self.out_features = out_features
        self.use_bias = use_bias
        self.weight: Any = jax.random.normal(jax.random.key(seed), (out_features, in_features))
        self.bias: Any = jnp.zeros(out_features) if use_bias else None

    def __call__(self, x: Any) -> Any:
        y = x @ self.weight.T
        return y if self.bias is None else y + self.bias


class Stack(Layer):
    """Layers and plain functions, one after the other."""

    def __init__(self, layers: Sequence[Callable[[Any], Any]]) -> None:
        self.layers = list(layers)

    def __call__(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return x
