"""The error family: what each says, what it carries, and that it travels between processes."""

from __future__ import annotations

import copy
import pickle

import pytest

from interop_core import errors
from interop_core.errors import (
    ConversionError,
    InteropError,
    MissingDependencyError,
    MissingShapeError,
    NotAModelError,
    Path,
    Problem,
    UnknownFrameworkError,
    UnmappedLayerError,
    UnsupportedConfigurationError,
    UnsupportedLayerError,
    VariablesError,
    format_path,
    raise_problems,
)

FIRST = Problem(
    ("layers", 3, "layers", 1),
    "nn.Linear",
    UnsupportedConfigurationError,
    "w_mask=0.5 has no counterpart",
    "multiply the weight by the mask",
    "w_mask",
    0.5,
)
SECOND = Problem((), "nn.Mine", UnmappedLayerError, "no row names it")


@pytest.mark.parametrize(
    "path, text",
    [
        ((), "model"),
        (("layers", 3), "layers[3]"),
        (("layers", 3, "layers", 1), "layers[3].layers[1]"),
        (("a", "b", 0), "a.b[0]"),
    ],
)
def test_a_path_is_written_as_python_would(path: Path, text: str) -> None:
    assert format_path(path) == text


def test_a_problem_says_where_what_why_and_what_to_do() -> None:
    assert str(FIRST) == (
        "layers[3].layers[1] (nn.Linear): w_mask=0.5 has no counterpart; "
        "multiply the weight by the mask"
    )
    assert str(SECOND) == "model (nn.Mine): no row names it"


def test_an_error_is_of_the_first_problems_class_and_holds_all() -> None:
    with pytest.raises(UnsupportedConfigurationError) as caught:
        raise_problems([FIRST, SECOND])
    error = caught.value
    assert error.problems == (FIRST, SECOND)
    assert str(error) == f"{FIRST}\n{SECOND}"
    assert (error.path, error.layer, error.field, error.value) == (
        FIRST.path,
        "nn.Linear",
        "w_mask",
        0.5,
    )
    assert error.reason == FIRST.reason
    assert error.advice == FIRST.advice


def test_without_problems_nothing_is_raised() -> None:
    raise_problems([])


def test_an_error_raised_by_hand_has_its_message() -> None:
    error = ConversionError("the arrays do not fit")
    assert str(error) == error.reason == "the arrays do not fit"
    assert error.problems == ()
    assert error.path == ()
    assert error.layer is None


@pytest.mark.parametrize(
    "error, base",
    [
        (UnsupportedConfigurationError, UnsupportedLayerError),
        (VariablesError, ConversionError),
        (NotAModelError, TypeError),
        (UnknownFrameworkError, ValueError),
        (MissingShapeError, InteropError),
    ],
)
def test_each_can_be_caught_as_what_it_is(error: type, base: type) -> None:
    assert issubclass(error, base)
    assert issubclass(error, InteropError)


def test_every_public_error_is_exported_by_the_package() -> None:
    import interop_core

    family = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, InteropError)
    }
    assert family <= set(interop_core.__all__)


def test_a_missing_package_comes_with_the_command() -> None:
    error = MissingDependencyError("interop-nnx")
    assert error.package == "interop-nnx"
    assert error.command == "pip install interop-nnx"
    assert str(error) == "interop-nnx is not installed; run: pip install interop-nnx"
    named = MissingDependencyError("flax", 'pip install "x[nnx]"', "flax is too old")
    assert str(named) == 'flax is too old; run: pip install "x[nnx]"'


@pytest.mark.parametrize(
    "error",
    [
        UnsupportedConfigurationError(problems=[FIRST, SECOND]),
        ConversionError("by hand"),
        MissingDependencyError("flax", 'pip install "x[nnx]"', "flax is too old"),
        NotAModelError(problems=[SECOND]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_travel_between_processes(error: InteropError) -> None:
    for travelled in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(travelled) is type(error)
        assert str(travelled) == str(error)
        assert vars(travelled) == vars(error)
