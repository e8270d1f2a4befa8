"""What users pass by mistake: in every framework its own error, the place and a way out."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

from brainstate_interop import (
    ConversionError,
    InteropError,
    MissingDependencyError,
    MissingShapeError,
    NotAModelError,
    UnknownFrameworkError,
    UnmappedLayerError,
    UnsupportedConfigurationError,
    UnsupportedLayerError,
    UnsupportedStructureError,
    VariablesError,
    explain,
    from_equinox,
    from_linen,
    from_nnx,
    nn,
    supported_layers,
    to_equinox,
    to_linen,
    to_nnx,
)
from interop_core import discovery, graph
from interop_core.state import LongTermState

KEY = jax.random.key(0)
RNGS = nnx.Rngs(0)
FRAMEWORKS = ("nnx", "linen", "equinox")
TO: dict[str, Callable[..., Any]] = {"nnx": to_nnx, "linen": to_linen, "equinox": to_equinox}

every_framework = pytest.mark.parametrize("framework", FRAMEWORKS)


def read(framework: str, model: Any, sample_input: Any = None) -> Any:
    """Into the core, from whichever framework; a Linen module with fresh variables."""
    if framework == "nnx":
        return from_nnx(model, sample_input=sample_input)
    if framework == "equinox":
        return from_equinox(model, sample_input=sample_input)
    module, variables = model
    return from_linen(module, variables, sample_input=sample_input)


class Mine(nn.Linear):
    """A subclass of a core layer."""


class Own(nn.Module):
    """A layer without any relation."""

    def update(self, x: Any) -> Any:
        return x


class Residual(nn.Module):
    """A forward of its own around a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 4)

    def update(self, x: Any) -> Any:
        return x + self.inner(x)


class Tower(nn.Sequential):
    """A stack with a class of its own."""


class NnxMine(nnx.Linear):
    pass


class LinenMine(linen.Dense):
    pass


class EqxMine(eqx.nn.Linear):
    pass


_EQX_MINE: Any = EqxMine  # its constructor is the base's, which a dataclass plugin does not see


class NnxResidual(nnx.Module):
    def __init__(self) -> None:
        self.inner = nnx.Linear(4, 4, rngs=RNGS)

    def __call__(self, x: Any) -> Any:
        return x + self.inner(x)


class LinenResidual(linen.Module):
    @linen.compact
    def __call__(self, x: Any) -> Any:
        return x + linen.Dense(4)(x)


class EqxResidual(eqx.Module):
    inner: eqx.nn.Linear

    def __call__(self, x: Any) -> Any:
        return x + self.inner(x)


def initialised(module: linen.Module) -> Any:
    return module, module.init(KEY, jnp.ones((1, 4)))


def stacked(framework: str, layer: Any) -> Any:
    """The framework's layer behind another one."""
    if framework == "nnx":
        return nnx.Sequential(nnx.relu, layer)
    if framework == "linen":
        return initialised(linen.Sequential([linen.relu, layer]))
    return eqx.nn.Sequential([eqx.nn.Lambda(jax.nn.relu), layer])


def subclassed(framework: str) -> Any:
    made: dict[str, Callable[[], Any]] = {
        "nnx": lambda: NnxMine(4, 4, rngs=RNGS),
        "linen": lambda: LinenMine(4),
        "equinox": lambda: _EQX_MINE(4, 4, key=KEY),
    }
    return made[framework]()


def own_forward(framework: str) -> Any:
    made: dict[str, Callable[[], Any]] = {
        "nnx": NnxResidual,
        "linen": LinenResidual,
        "equinox": lambda: EqxResidual(eqx.nn.Linear(4, 4, key=KEY)),
    }
    return made[framework]()


def raised(
    error: type[InteropError], act: Callable[[], Any], *, words: str, path: Any = ("layers", 1)
) -> InteropError:
    """Run what must raise exactly this error, with a reason, a way out and the place."""
    with pytest.raises(error, match=words) as caught:
        act()
    assert type(caught.value) is error
    assert caught.value.path == path
    assert caught.value.reason
    assert caught.value.advice
    assert caught.value.problems
    return caught.value


class TestUnknownLayers:
    @every_framework
    def test_an_unregistered_layer(self, framework: str) -> None:
        model = nn.Sequential(nn.ReLU(), Own())
        error = raised(UnmappedLayerError, lambda: TO[framework](model), words="no row names")
        assert error.layer == "nn.Own"
        assert "register_layer_mapping" in error.advice

    @every_framework
    def test_a_subclass_of_a_core_layer(self, framework: str) -> None:
        model = nn.Sequential(nn.ReLU(), Mine(4, 4))
        raised(UnmappedLayerError, lambda: TO[framework](model), words="extends Linear")

    @every_framework
    def test_a_subclass_of_a_framework_layer(self, framework: str) -> None:
        model = stacked(framework, subclassed(framework))
        words = "extends (Linear|Dense)"
        raised(UnmappedLayerError, lambda: read(framework, model), words=words)

    @every_framework
    def test_a_forward_of_its_own_in_the_core(self, framework: str) -> None:
        def convert(layer: nn.Module) -> Any:
            return TO[framework](nn.Sequential(nn.ReLU(), layer))

        for layer in (Residual(), Tower(nn.Linear(4, 4))):
            act = partial(convert, layer)
            error = raised(UnsupportedStructureError, act, words="its own")
            assert "register_layer_mapping" in error.advice

    @every_framework
    def test_a_forward_of_its_own_in_the_framework(self, framework: str) -> None:
        model = stacked(framework, own_forward(framework))
        raised(UnsupportedStructureError, lambda: read(framework, model), words="its own")


class TestConfigurations:
    @every_framework
    def test_a_value_that_the_row_does_not_know_is_named(self, framework: str) -> None:
        model = nn.Sequential(nn.ReLU(), nn.Linear(4, 4, param_type=LongTermState))
        error = raised(
            UnsupportedConfigurationError,
            lambda: TO[framework](model),
            words="param_type=",
        )
        assert (error.layer, error.field, error.value) == ("nn.Linear", "param_type", LongTermState)

    def test_so_is_one_of_the_framework(self) -> None:
        linear = nnx.Linear(4, 4, dot_general=_other_product, rngs=RNGS)
        dense = linen.Dense(4, dot_general=_other_product)
        models = {"nnx": stacked("nnx", linear), "linen": stacked("linen", dense)}
        for framework, model in models.items():
            error = raised(
                UnsupportedConfigurationError,
                partial(read, framework, model),
                words="dot_general=<function _other_product",
            )
            assert error.field == "dot_general"

    def test_numbers_have_a_layer_in_equinox_alone(self) -> None:
        model = read("equinox", stacked("equinox", eqx.nn.Linear("scalar", 4, key=KEY)))
        for framework in ("nnx", "linen"):
            error = raised(
                UnsupportedConfigurationError,
                partial(TO[framework], model),
                words="has no axis of features",
            )
            assert error.field == "in_size"


def _other_product(*arguments: Any, **options: Any) -> Any:
    return jax.lax.dot_general(*arguments, **options)


def spatial(framework: str) -> Any:
    """A convolution that does not know the size of its input."""
    if framework == "nnx":
        return nnx.Sequential(nnx.Conv(3, 4, (3, 3), rngs=RNGS))
    if framework == "linen":
        module = linen.Sequential([linen.Conv(4, (3, 3))])
        return module, module.init(KEY, jnp.ones((1, 8, 9, 3)))
    return eqx.nn.Sequential([eqx.nn.Conv2d(3, 4, 3, key=KEY)])


class TestSampleInput:
    @every_framework
    @pytest.mark.parametrize(
        "sample, words",
        [
            (None, "not known"),
            ((3, 8, 9), "channels"),
            ((8, 9), "channels"),
            ((1, 8, 9, 3), "Conv|axes|in_size"),
            ((3,), "Conv|axes|in_size"),
            (jnp.ones((3, 8, 9)), "channels"),
            ("8x9", "neither an array nor a tuple"),
            ((8, 9, -3), "positive"),
        ],
        ids=["missing", "first", "rank 2", "batched", "rank 1", "array", "text", "negative"],
    )
    def test_missing_of_another_rank_or_channels_first(
        self, framework: str, sample: Any, words: str
    ) -> None:
        model = spatial(framework)
        with pytest.raises(MissingShapeError, match=words) as caught:
            read(framework, model, sample)
        assert caught.value.path in (("layers", 0), ())
        assert "sample_input" in str(caught.value)
        assert caught.value.advice
        assert read(framework, model, (8, 9, 3)).layers[0].in_size == (8, 9, 3)


class TestLinenVariables:
    module = linen.Sequential([linen.Dense(3), linen.relu, linen.Dense(2)])

    def variables(self) -> Any:
        return self.module.init(KEY, jnp.ones((1, 4)))

    def broken(self, change: Callable[[Any], None]) -> Any:
        variables = jax.tree.map(lambda array: array, self.variables())
        change(variables)
        return variables

    @pytest.mark.parametrize(
        "change, words",
        [
            (lambda v: v["params"]["layers_2"].pop("kernel"), "params/layers_2/kernel"),
            (lambda v: v["params"].pop("layers_0"), "layers_0"),
            (lambda v: v["params"].update(layers_7={"kernel": jnp.ones(3)}), "layers_7/kernel"),
            (lambda v: v["params"]["layers_0"].update(gain=jnp.ones(3)), "layers_0/gain"),
            (lambda v: v["params"]["layers_0"].update(kernel=jnp.ones((3, 4))), r"\(3, 4\)"),
            (lambda v: v["params"]["layers_0"].update(kernel=jnp.ones(4)), r"\(4,\)|1 axes"),
            (
                lambda v: v["params"]["layers_0"].update(
                    kernel=linen.Partitioned(jnp.ones((4, 3)), names=(None, "model", None))
                ),
                "3 names",
            ),
        ],
        ids=["missing", "missing layer", "extra layer", "extra", "shape", "rank", "names"],
    )
    def test_they_have_to_fit_the_module(self, change: Any, words: str) -> None:
        variables = self.broken(change)
        with pytest.raises(VariablesError, match=words) as caught:
            from_linen(self.module, variables)
        assert isinstance(caught.value, ConversionError)
        assert caught.value.advice
        assert caught.value.problems[0].reason

    def test_the_params_alone_are_not_the_whole_tree(self) -> None:
        with pytest.raises(VariablesError) as caught:
            from_linen(self.module, self.variables()["params"])
        assert "params" in str(caught.value)

    @pytest.mark.parametrize("variables", [None, 3, [1]])
    def test_what_is_no_tree(self, variables: Any) -> None:
        with pytest.raises(VariablesError, match="not a dict"):
            from_linen(self.module, variables)


class TestNoModel:
    @every_framework
    @pytest.mark.parametrize(
        "value, words",
        [
            (nn.Linear, "the class Linear"),
            (nnx.Linear, "the class Linear"),
            (jax.nn.relu, "the function relu"),
            (None, "None"),
            (3, "int"),
            ([nn.Linear], "list"),
        ],
        ids=["core class", "class", "function", "None", "number", "list"],
    )
    def test_to_a_framework(self, framework: str, value: Any, words: str) -> None:
        raised(NotAModelError, lambda: TO[framework](value), words=words, path=())

    @every_framework
    @pytest.mark.parametrize(
        "value, words",
        [
            (nnx.Linear, "the class Linear"),
            (jnp.tanh, "the function tanh"),
            (None, "None"),
            (3, "int"),
        ],
        ids=["class", "function", "None", "number"],
    )
    def test_from_a_framework(self, framework: str, value: Any, words: str) -> None:
        model = (value, {}) if framework == "linen" else value
        raised(NotAModelError, lambda: read(framework, model), words=words, path=())

    @every_framework
    def test_a_model_of_the_wrong_side(self, framework: str) -> None:
        with pytest.raises(NotAModelError, match=r"nn|flax|equinox"):
            read(framework, (nn.Linear(3, 4), {}) if framework == "linen" else nn.Linear(3, 4))
        foreign = TO[framework](nn.Linear(3, 4))
        with pytest.raises(NotAModelError):
            TO[framework](foreign)


class TestFrameworks:
    def test_an_unknown_one(self) -> None:
        for act in (lambda: supported_layers("torch"), lambda: explain(nn.ReLU(), to="torch")):
            error = raised(UnknownFrameworkError, act, words="'torch'", path=())
            assert "nnx" in error.advice
            assert "linen" in error.advice

    def test_an_installed_one_that_does_not_import(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """A stand-in for a flax that was built for another jax."""
        (tmp_path / "interop_broken.py").write_text(
            "import flax\nfrom jax import a_name_that_this_release_dropped\n", encoding="utf-8"
        )
        monkeypatch.syspath_prepend(tmp_path)
        point = metadata.EntryPoint("broken", "interop_broken:BRIDGE", discovery.GROUP)
        monkeypatch.setattr(discovery, "_entry_points", lambda: {"broken": point})
        with pytest.raises(MissingDependencyError, match="cannot be imported") as caught:
            supported_layers("broken")
        for package in ("jax", "flax"):
            assert f"{package} {metadata.version(package)}" in str(caught.value)
        assert "a_name_that_this_release_dropped" in str(caught.value)
        assert "--upgrade" in caught.value.command
        assert "broken" not in supported_layers()

    def test_one_that_is_not_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(discovery, "_entry_points", dict)
        monkeypatch.setitem(sys.modules, "interop_nnx", None)
        with pytest.raises(MissingDependencyError) as caught:
            to_nnx(nn.Linear(3, 4))
        assert caught.value.command == 'pip install "brainstate-interop[nnx]"'


class TestSeveral:
    model = nn.Sequential(
        Mine(4, 4),
        nn.Sequential(nn.Linear(4, 4, param_type=LongTermState), Residual()),
        jnp.sin,
        nn.MaxPool1d(2, return_indices=True),
    )

    @every_framework
    def test_problems_of_one_model_come_in_one_error(self, framework: str) -> None:
        with pytest.raises(UnmappedLayerError) as caught:
            TO[framework](self.model)
        problems = {problem.path: problem.error for problem in caught.value.problems}
        assert problems[("layers", 0)] is UnmappedLayerError
        assert problems[("layers", 1, "layers", 0)] is UnsupportedConfigurationError
        assert problems[("layers", 1, "layers", 1)] is UnsupportedStructureError
        assert problems[("layers", 2)] is UnmappedLayerError
        assert issubclass(problems[("layers", 3)], UnsupportedLayerError)
        text = str(caught.value)
        for place in ("layers[0]", "layers[1].layers[0]", "layers[1].layers[1]", "layers[2]"):
            assert re.search(f"^{re.escape(place)} ", text, re.MULTILINE)

    @every_framework
    def test_explain_shows_the_same_without_raising(self, framework: str) -> None:
        explanation = explain(self.model, to=framework)
        with pytest.raises(InteropError) as caught:
            TO[framework](self.model)
        assert explanation.problems == caught.value.problems

    @every_framework
    def test_the_source_is_as_it_was(self, framework: str) -> None:
        before = graph.leaves(self.model)
        with pytest.raises(InteropError):
            TO[framework](self.model)
        after = graph.leaves(self.model)
        assert before.keys() == after.keys()
        assert all(after[name] is before[name] for name in before)

    def test_framework_models_are_as_they_were(self) -> None:
        module = nnx.Sequential(nnx.Linear(4, 4, rngs=RNGS), NnxResidual())
        before = jax.tree.leaves(nnx.state(module))
        with pytest.raises(InteropError):
            from_nnx(module)
        for old, new in zip(before, jax.tree.leaves(nnx.state(module)), strict=True):
            assert old is new
        variables = linen.Dense(4).init(KEY, jnp.ones((1, 4)))
        kernel = np.array(variables["params"]["kernel"])
        with pytest.raises(InteropError):
            from_linen(linen.Dense(5), {"params": {**variables["params"], "gain": kernel}})
        np.testing.assert_array_equal(variables["params"]["kernel"], kernel)
        assert variables["params"].keys() == {"kernel", "bias"}
