"""The errors of a conversion: one class per cause, each with the path, the reason and a way out.

Imports nothing of this package.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Path = tuple[str | int, ...]
"""Attribute names and list positions from the model down to one layer."""


def format_path(path: Path) -> str:
    """Write a path as Python would: ``layers[3].layers[1]``; the model itself is ``model``.

    Example:
        >>> format_path(("layers", 3, "layers", 1))
        'layers[3].layers[1]'
        >>> format_path(())
        'model'
    """
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "model"


class InteropError(Exception):
    """Base class of everything that a conversion raises.

    Attributes:
        problems: every problem found in the model, in the order of the walk. The class that is
            raised is the class of the first; an error raised by hand has none.
        path: where the first problem is.
        layer: the layer's name there, for instance ``"nnx.Conv"``.
        field: the configuration field or array at fault, where there is one.
        value: its value.
        reason: what is wrong.
        advice: what to do.
    """

    def __init__(self, message: str = "", *, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message or "\n".join(map(str, problems)))
        self.problems: tuple[Problem, ...] = tuple(problems)
        first = self.problems[0] if problems else None
        self.path: Path = first.path if first else ()
        self.layer: str | None = first.layer if first else None
        self.field: str | None = first.field if first else None
        self.value: Any = first.value if first else None
        self.reason: str = first.reason if first else message
        self.advice: str = first.advice if first else ""


class MissingDependencyError(InteropError):
    """A framework, or the bridge to it, is not installed or cannot be imported.

    Attributes:
        package: what to install.
        command: the command that installs it.
    """

    def __init__(self, package: str, install_hint: str = "", reason: str = "") -> None:
        self.package = package
        self.command = install_hint or f"pip install {package}"
        self._cause = reason or f"{package} is not installed"
        super().__init__(f"{self._cause}; run: {self.command}")

    def __reduce__(self) -> tuple[Any, ...]:
        # By default the message would become the package of the copy.
        return type(self), (self.package, self.command, self._cause)


class UnknownFrameworkError(InteropError, ValueError):
    """No bridge of this name exists."""


class NotAModelError(InteropError, TypeError):
    """The argument is not a model: a class, ``None``, a bare function, some other object."""


class UnmappedLayerError(InteropError):
    """No row and no registered mapping names exactly this layer type."""


class UnsupportedLayerError(InteropError):
    """A known layer that has no counterpart, for a reason that the error gives."""


class UnsupportedConfigurationError(UnsupportedLayerError):
    """A known layer with an option, or a value of one, that the other side cannot express."""


class UnsupportedStructureError(InteropError):
    """Layers are put together in a way that the other side cannot rebuild."""


class MissingShapeError(InteropError):
    """The sizes are not known: pass ``sample_input``, or pass one that fits."""


class ConversionError(InteropError):
    """Arrays do not fit: missing, left over, of another shape, dtype, kind or unit."""


class VariablesError(ConversionError):
    """A tree of variables does not fit its module: leaves are missing, left over or misshapen."""


class VerificationError(InteropError):
    """Two models that should compute the same do not, as running both of them showed.

    Attributes:
        difference: the largest difference found there; infinite where one side cannot be run.
        tolerance: the difference that rounding would explain.
        what: what differs: ``"output"``, ``"gradient by ..."``, ``"training step 1"``.
    """

    def __init__(
        self,
        message: str = "",
        *,
        problems: Sequence[Problem] = (),
        difference: float = math.inf,
        tolerance: float = 0.0,
        what: str = "output",
    ) -> None:
        super().__init__(message, problems=problems)
        self.difference = difference
        self.tolerance = tolerance
        self.what = what


class LostNamesWarning(UserWarning):
    """The arrays of a model have named axes, and what it was converted to has no place for names.

    The result computes the same. ``warnings.simplefilter("error", LostNamesWarning)`` has such a
    conversion raise.
    """


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that stands in the way of a conversion.

    Attributes:
        path: where in the model.
        layer: the layer's name with its framework, for instance ``"nnx.Conv"``.
        error: the class to raise.
        reason: what is wrong, in a clause that can follow a colon.
        advice: what to do about it, in the imperative.
        field: the configuration field or array at fault, if it is one.
        value: its value.
    """

    path: Path
    layer: str
    error: type[InteropError]
    reason: str
    advice: str = ""
    field: str | None = None
    value: Any = None

    def __str__(self) -> str:
        place = f"{format_path(self.path)} ({self.layer})" if self.layer else format_path(self.path)
        return f"{place}: {self.reason}" + (f"; {self.advice}" if self.advice else "")


class Refusal(Exception):
    """Raised inside a row's functions; the planner turns it into a `Problem` with a path.

    Args:
        reason: what is wrong.
        advice: what to do about it.
        error: the error class that the problem gets; the planner's own choice when ``None``.
        arrays: arrays of the layer, by name, that the reason ends in.
    """

    def __init__(
        self,
        reason: str,
        advice: str = "",
        error: type[InteropError] | None = None,
        arrays: tuple[str, ...] = (),
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.advice = advice
        self.error = error
        self.arrays = arrays


def raise_problems(problems: Sequence[Problem]) -> None:
    """Raise one error with every problem in it, of the class of the first; none, none raised."""
    if problems:
        raise problems[0].error(problems=problems)
