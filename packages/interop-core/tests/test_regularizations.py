"""What every penalty of the catalogue does, and what is special about each."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import brainstate
import jax
import numpy as np
import optax
import pytest
from jax import numpy as jnp

from interop_core import environ, nn, random
from interop_core.nn import init
from interop_core.state import ParamState
from interop_core.testing import quick_compilation
from interop_core.testing.catalogue import REGULARIZATIONS, RegularizationRow

bst: Any = brainstate.nn


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """Each program here runs once."""
    with quick_compilation():
        yield


def rows(keep: Callable[[RegularizationRow], bool] = lambda row: True) -> pytest.MarkDecorator:
    """Parametrize a test over the rows that it is about."""
    return pytest.mark.parametrize("row", [row for row in REGULARIZATIONS if keep(row)], ids=str)


def close(a: Any, b: Any, tolerance: float = 1e-5) -> None:
    """The same shape and numbers, up to a part of the largest."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    assert a.shape == b.shape
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * np.abs(b).max(initial=1))


# -- every row ------------------------------------------------------------------------------------


def test_every_penalty_has_a_row() -> None:
    public = {
        name
        for name, entry in vars(nn).items()
        if isinstance(entry, type)
        and issubclass(entry, nn.Regularization)
        and entry is not nn.Regularization
    }
    assert public == {row.name for row in REGULARIZATIONS}
    for name in public:
        # Not that of the published class, which can be any: its metaclass takes whatever it gets.
        mine, theirs = (inspect.signature(getattr(lib, name).__init__) for lib in (nn, bst))
        assert [(p.name, p.default, p.kind) for p in mine.parameters.values()] == [
            (p.name, p.default, p.kind) for p in theirs.parameters.values()
        ]


@rows()
def test_states_as_published(row: RegularizationRow) -> None:
    ours, published = row.make(nn).states(), row.make(bst).states()
    assert list(ours) == list(published) == list(row.trained)
    for path, state in ours.items():
        assert type(state) is ParamState
        assert state.value.dtype == published[path].value.dtype
        close(state.value, published[path].value)


@rows(lambda row: row.differs is None)
def test_loss_as_published(row: RegularizationRow) -> None:
    ours, published, x = row.make(nn), row.make(bst), row.value()
    (mine, slope), (theirs, other) = (
        jax.jit(jax.value_and_grad(lambda v, reg=reg: jnp.asarray(reg.loss(v), np.float32)))(x)
        for reg in (ours, published)
    )
    close(mine, theirs, row.tolerance)
    close(slope, other, 10 * row.tolerance)
    close(ours(x), mine, row.tolerance)
    if row.name != "BetaReg":  # of shapes without a mode between the bounds
        close(ours.reset_value(), published.reset_value(), 1e-4)
    half = ours.loss(x.astype(np.float16))
    if row.case != "empty":
        assert half.dtype == np.float32
        if row.name != "SpectralNormReg":  # which cannot be computed of that, published
            assert published.loss(x.astype(np.float16)).dtype == np.float32


@rows(lambda row: bool(row.trained))
def test_trained_numbers(row: RegularizationRow) -> None:
    reg, x = row.make(nn), row.value()
    gradient = jax.jit(jax.grad(lambda r: r.loss(x)))(reg)
    slopes = {path: state.value for path, state in gradient.states().items()}
    with environ.context(precision=64):
        wide, exact = row.make(nn), row.value(np.float64)
        for path, state in wide.states().items():
            kept, step = state.value, 1e-6
            state.value = kept + step
            above = wide.loss(exact)
            state.value = kept - step
            close(slopes[path], (above - wide.loss(exact)) / (2 * step), 1e-4)
            state.value = kept
    # Also as the penalty of a parameter, whose optimizer sees them.
    param = nn.Param(x, reg=row.make(nn))
    assert set(param.states()) == {("val",), *(("reg", *path) for path in row.trained)}
    optimizer = optax.sgd(1e-4)
    update, _ = optimizer.update(jax.grad(lambda p: p.reg_loss())(param), optimizer.init(param))
    after = optax.apply_updates(param, update)
    for path, slope in slopes.items():
        before = param.states()["reg", *path].value
        close(after.states()["reg", *path].value, before - 1e-4 * slope)
    assert after.reg_loss() < param.reg_loss()


@rows()
def test_sample_and_reset(row: RegularizationRow) -> None:
    reg, param = row.make(nn), nn.Param(row.value(), reg=row.make(nn))

    def draw(key: Any, shape: Any) -> Any:
        with random.seed_context(key):
            return reg.sample_init(shape)

    for shape in (3, (2, 3), ()) if row.case != "arrays" else (3, (2, 3)):
        made = jax.eval_shape(lambda key, shape=shape: draw(key, shape), jax.random.key(0))
        assert made.shape == ((shape,) if isinstance(shape, int) else shape)
        assert made.dtype == np.float32
    sample = draw(0, (2, 3))
    assert np.isfinite(sample).all()
    assert np.isfinite(reg.loss(sample))
    assert (draw(0, (2, 3)) == sample).all()
    param.reset_to_prior()
    assert param.value().shape == row.value().shape
    assert np.isfinite(param.reg_loss())


@rows()
def test_is_a_module(row: RegularizationRow) -> None:
    reg, x = row.make(nn), row.value()
    structure_of: Any = jax.tree.structure
    assert structure_of(reg) == structure_of(row.make(nn))
    again = pickle.loads(pickle.dumps(reg))
    close(again.loss(x), reg.loss(x), 0)
    assert structure_of(again) == structure_of(reg)
    assert repr(reg).startswith(f"{row.name}(")
    assert " at 0x" not in repr(reg)
    for name in inspect.signature(type(reg)).parameters:
        getattr(reg, name)
    with init.abstract():
        skeleton = row.make(nn)
    for path, state in skeleton.states().items():
        assert state.value == jax.ShapeDtypeStruct((), np.float32), path
    close(jax.vmap(reg.loss)(jnp.stack([x, x]))[1] if row.case != "empty" else 0.0, reg.loss(x))
    with environ.context(precision=64):
        loss = row.make(nn).loss(row.value(np.float64))
        close(loss, reg.loss(x))
        assert row.case == "empty" or loss.dtype == np.float64


# -- errors and options ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("ElasticNetReg", {"alpha": 1.5}),
        ("HuberReg", {"delta": 0.0}),
        ("GroupLassoReg", {"group_size": 0}),
        ("TotalVariationReg", {"order": 3}),
        ("MaxNormReg", {"max_value": -1.0}),
        ("SpectralNormReg", {"max_value": -1.0}),
        ("GaussianReg", {"mean": 0.0, "std": 0.0}),
        ("StudentTReg", {"df": -1.0}),
        ("CauchyReg", {"scale": [1.0, 0.0]}),
        ("HorseshoeReg", {"tau": 0}),
        ("UniformReg", {"lower": 2.0}),
        ("LogNormalReg", {"sigma": -1.0}),
        ("ExponentialReg", {"rate": 0.0}),
        ("GammaReg", {"beta": 0.0}),
        ("BetaReg", {"a": -1.0}),
        ("InverseGammaReg", {"alpha": 0.0}),
        ("LogUniformReg", {"lower": 0.0}),
        ("LogUniformReg", {"upper": 1e-4}),
        ("UniformReg", {"lower": [0.0, 3.0], "upper": [1.0, 2.0]}),
        ("ElasticNetReg", {"alpha": [0.5, 2.0]}),
        ("SpikeAndSlabReg", {"pi": -0.1}),
        ("SpikeAndSlabReg", {"pi": [0.5, 2.0]}),
        ("SpikeAndSlabReg", {"slab_scale": 0.0}),
        ("DirichletReg", {"alpha": 0.0}),
    ],
    ids=str,
)
def test_bad_numbers_are_refused(name: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        getattr(nn, name)(**arguments)


def test_bad_types_are_refused() -> None:
    for size in (2.5, True):
        with pytest.raises(TypeError, match="group_size must be an integer"):
            nn.GroupLassoReg(group_size=size)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="made of regularisations, not of 3"):
        nn.ChainedReg(nn.L1Reg(), 3)  # type: ignore[arg-type]


def test_lists_as_numbers() -> None:
    mixed = nn.ElasticNetReg(1.0, 2.0, alpha=[0.0, 1.0])
    assert mixed.loss(jnp.array([0.5, 0.5])).tolist() == 1.0
    assert nn.SpikeAndSlabReg(pi=[0.1, 0.9]).sample_init(2).shape == (2,)


def test_numbers_that_training_has_spoilt() -> None:
    for name, hyper in [("CauchyReg", "scale"), ("GammaReg", "alpha"), ("SpikeAndSlabReg", "pi")]:
        reg = getattr(nn, name)(fit_hyper=True)
        getattr(reg, hyper).value = jnp.array(-1.0)
        assert np.isfinite(reg.loss(jnp.array([0.5])))
        assert np.isfinite(reg.sample_init(3)).all()
    gauss = nn.GaussianReg(0.0, 2.0, fit_hyper=True)
    close(gauss.std, 2.0)
    gauss.precision.value = jnp.array(4.0)
    close(gauss.std, 0.5)
    assert nn.GaussianReg(0.0, 0.3).std == 0.3


def test_chain_shows_and_ties_its_parts() -> None:
    part = nn.CauchyReg(fit_hyper=True)
    chain = nn.ChainedReg(part, part, nn.L1Reg(0.5))
    assert chain.regularizations == (part, part, chain.regularizations[2])
    assert list(chain.states()) == [("_reg_0", "scale")]
    assert "L1Reg(weight=0.5)" in repr(chain)
    assert nn.ChainedReg().reset_value() == 0.0


def test_losses_of_a_model_by_filter() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Param(jnp.ones(2), reg=nn.L1Reg())
            self.b = nn.Param(jnp.ones(3), t=nn.PositiveT(), reg=nn.GammaReg(fit_hyper=True))
            self.c = nn.Const(jnp.ones(3), reg=nn.L2Reg())

    model = Model()
    close(model.reg_loss(), 2.0 + 3.0)
    close(model.reg_loss(lambda path, p: isinstance(p.reg, nn.L1Reg)), 2.0)
    gradient = jax.jit(jax.grad(lambda m: m.reg_loss()))(model)
    assert set(gradient.states()) == {
        ("a", "val"),
        ("b", "val"),
        ("b", "reg", "alpha"),
        ("b", "reg", "beta"),
    }


def test_cached_values_are_forgotten_after_an_error() -> None:
    param = nn.Param(jnp.ones(3), t=nn.PositiveT(), reg=nn.GammaReg())

    def fail() -> None:
        with param.param_precompute():
            assert param.cache_stats["valid"]
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert not param.cache_stats["has_cached_value"]
