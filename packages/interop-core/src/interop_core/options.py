"""Options of one side into options of the other, with nothing left unsaid.

Imports `errors`, `holding` and `mapping`.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import cache
from typing import Any

import jax
import numpy as np

from .errors import InteropError, Refusal, UnsupportedConfigurationError
from .holding import Part
from .mapping import Config, Given, Ignored, LayerMap, Only, Opt, Side

REQUIRED = inspect.Parameter.empty
"""Stands for the default of a parameter that has none."""

CORE_IGNORED = Ignored(
    "core",
    (
        "name",
        "w_init",
        "b_init",
        "embedding_init",
        "bias_init",
        "scale_init",
        "bias_initializer",
        "scale_initializer",
        "state_init",
    ),
    "names and initial values: the weights themselves are converted",
)
"""Parameters of core layers that no row needs to speak of."""

CORE_STATE_TYPES = ("param_type", "mean_type")
"""Parameters of core layers that convert at their default alone: no framework has these types."""

_UNUSABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What a row's function raises where a constructor has let through what no call can use."""

_STATE_TYPE_ADVICE = "convert the layer with its default state types"


@cache
def parameters(target: Any) -> dict[str, Any]:
    """Constructor parameters of a class, or a function's behind its first, with their defaults.

    Variadic parameters are left out; what a constructor passes on by keyword is there with the
    parameters of the class that it extends. A parameter without default has `REQUIRED`.

    Example:
        >>> parameters(jax.nn.gelu)
        {'approximate': True}
    """
    # A metaclass may hide the constructor's signature behind one of its own.
    subject: Any = target
    function = subject.__init__ if isinstance(target, type) else target
    try:
        signature = inspect.signature(function)
    except ValueError:  # some compiled functions do not say
        return {}
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    named = [p for p in signature.parameters.values() if p.kind not in variadic]
    own = {parameter.name: parameter.default for parameter in named[1:]}
    passes_on = any(p.kind is variadic[1] for p in signature.parameters.values())
    return {**_inherited(target), **own} if passes_on and isinstance(target, type) else own


def _inherited(cls: type) -> dict[str, Any]:
    """Parameters of the constructor that a class's own stands in front of."""
    above = [base for base in cls.__mro__[1:] if "__init__" in vars(base) and base is not object]
    return parameters(above[0]) if above and "__init__" in vars(cls) else {}


def same(a: Any, b: Any) -> bool:
    """Whether two option values are the same one; arrays only where they are the same object."""
    if a is b:
        return True
    if isinstance(a, jax.Array | np.ndarray) or isinstance(b, jax.Array | np.ndarray):
        return False
    try:
        return bool(a == b)
    except Exception:  # a comparison that fails says that the two are not alike
        return False


class Translation:
    """A row's options from one side to the other.

    Attributes:
        options: constructor arguments for the target.
        complaints: what has no counterpart: (field, value, refusal).
    """

    def __init__(
        self, row: LayerMap, source: Side, config: Config, ignored: frozenset[str]
    ) -> None:
        self.options: dict[str, Any] = {}
        self.complaints: list[tuple[str, Any, Refusal]] = []
        seen = set(ignored)
        for option in row.options:
            if isinstance(option, Opt):
                seen.add(option.core if source == "core" else option.foreign)
                self._translate(option, source, config)
            elif isinstance(option, Part):
                seen.add(option.core if source == "core" else option.foreign)
            elif isinstance(option, Ignored):
                seen.update(option.names if option.side == source else ())
            elif option.side != source:
                self.options.setdefault(option.name, option.value)
            else:
                seen.add(option.name)
                if isinstance(option, Given):
                    self._check(option, config)
                else:
                    self._require(option, config)
        layer = row.core if source == "core" else row.foreign
        for name, default in parameters(layer).items():
            if name not in seen and not same(config.get(name, default), default):
                value = config[name]
                advice = _STATE_TYPE_ADVICE if name in CORE_STATE_TYPES else ""
                self._complain(name, value, Refusal(f"{name}={value!r} is not understood", advice))

    def _translate(self, option: Opt, source: Side, config: Config) -> None:
        here, there = option.core, option.foreign
        function = option.iso.to
        if source == "foreign":
            here, there, function = there, here, option.iso.back
        value = config.get(here)
        try:
            result = function(value, config)
        except Refusal as refusal:
            self._complain(here, value, refusal)
            return
        except _UNUSABLE:
            self._complain(here, value, Refusal(f"{here}={value!r} is not understood"))
            return
        if there in self.options and not same(self.options[there], result):
            clash = f"{here}={value!r} asks for {there}={result!r}, another option for "
            self._complain(here, value, Refusal(clash + repr(self.options[there])))
        self.options[there] = result

    def _check(self, option: Given, config: Config) -> None:
        value = config.get(option.name)
        try:
            option.check(value, config)
        except Refusal as refusal:
            self._complain(option.name, value, refusal)
        except _UNUSABLE:
            reason = f"{option.name}={value!r} is not understood beside the other options"
            self._complain(option.name, value, Refusal(reason))

    def _require(self, option: Only, config: Config) -> None:
        value = config.get(option.name, option.value)
        if not same(value, option.value):
            advice = option.advice or f"use {option.name}={option.value!r}"
            self._complain(
                option.name,
                value,
                Refusal(f"{option.name}={value!r} has no counterpart", advice),
            )

    def _complain(self, name: str, value: Any, refusal: Refusal) -> None:
        self.complaints.append((name, value, refusal))

    def errors(self) -> Iterator[tuple[type[InteropError], str, Any, Refusal]]:
        """The complaints with the class each is to be raised as."""
        for name, value, refusal in self.complaints:
            yield refusal.error or UnsupportedConfigurationError, name, value, refusal
