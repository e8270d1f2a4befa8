"""Plain functions as layers: what a function, or a `functools.partial` of one, says.

People put ``nnx.relu`` or ``partial(jax.nn.gelu, approximate=False)`` between layers. Such an
element is looked up by the function itself, and its keyword arguments are its configuration.
Imports `errors` and `options`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

from .errors import NotAModelError, Refusal
from .mapping import Config
from .options import parameters, same


def is_function(value: Any) -> bool:
    """Whether a value is called but is no class: a function, a jitted one, a partial of one."""
    return callable(value) and not isinstance(value, type)


def function_of(value: Callable[..., Any]) -> Hashable:
    """The function behind a partial, or the function itself."""
    return value.func if isinstance(value, partial) else value


def keywords_of(value: Callable[..., Any]) -> dict[str, Any]:
    """Every option of a function layer: its defaults and what a partial sets.

    Raises:
        Refusal: for a partial with positional arguments, which hide the input's place, and for one
            of a class, which makes layers.

    Example:
        >>> import jax
        >>> keywords_of(partial(jax.nn.leaky_relu, negative_slope=0.2))
        {'negative_slope': 0.2}
    """
    function = function_of(value)
    if isinstance(function, type):
        made = function.__name__
        raise Refusal(f"makes {made} layers and is none", f"make one: {made}(...)", NotAModelError)
    defaults = parameters(function)
    if not isinstance(value, partial):
        return dict(defaults)
    if value.args:
        raise Refusal(
            f"the partial fixes positional arguments {value.args!r}", "pass them by keyword"
        )
    unknown = value.keywords.keys() - defaults.keys()
    if unknown:
        raise Refusal(f"the partial sets {', '.join(sorted(unknown))}, which is no option")
    return {**defaults, **value.keywords}


def name_of(value: Any) -> str:
    """A function's name for people: ``partial(gelu)``."""
    function: Any = function_of(value)
    name = getattr(function, "__name__", None) or type(function).__name__
    return f"partial({name})" if isinstance(value, partial) else str(name)


def class_title(prefix: str, layer: type) -> str:
    """A class's name for people: that of the framework's own, or one of a bridge's companions.

    Example:
        >>> class Linear: ...
        >>> class MGUCell: ...
        >>> MGUCell.__module__ = "interop_nnx.companions._recurrent"
        >>> class_title("nnx.", Linear), class_title("nnx.", MGUCell)
        ('nnx.Linear', 'companions.MGUCell')
    """
    return ("companions." if is_companion(layer) else prefix) + layer.__name__


def is_companion(layer: Any) -> bool:
    """Whether a class is a native module that a bridge brings along for a core layer."""
    return isinstance(layer, type) and "companions" in layer.__module__.split(".")


def with_keywords(function: Callable[..., Any], options: Config) -> Callable[..., Any]:
    """The function with these options: itself where all are at their defaults, else a partial.

    Example:
        >>> import jax
        >>> with_keywords(jax.nn.gelu, {"approximate": True}) is jax.nn.gelu
        True
    """
    defaults = parameters(function)
    changed = {
        name: value for name, value in options.items() if not same(value, defaults.get(name))
    }
    return partial(function, **changed) if changed else function
