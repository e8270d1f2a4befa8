"""Transformed parameters, transformations and penalties, against the published ones."""

from __future__ import annotations

import copy
import logging
import pickle
from typing import Any

import brainstate
import jax
import numpy as np
import pytest
from jax import numpy as jnp

from interop_core import nn, random
from interop_core.state import ParamState
from interop_core.testing.catalogue import TRANSFORMS, TransformRow

bst: Any = brainstate.nn
VALUE = np.array([1.0, 2.0, 3.0], np.float32)


def close(ours: Any, published: Any) -> None:
    """The same shape and numbers; logarithms and exponentials differ in the last digits."""
    assert np.shape(ours) == np.shape(published)
    np.testing.assert_allclose(np.asarray(ours), np.asarray(published), rtol=1e-5, atol=1e-6)


def raw(param: Any) -> Any:
    """What is stored."""
    return getattr(param.val, "value", param.val)


OPTIONS: list[dict[str, Any]] = [
    {},
    {"t": "softplus"},
    {"fit": False},
    {"t": "softplus", "fit": False},
    {"t": "softplus", "precompute": lambda x: x * 3},
    {"reg": "l1"},
    {"t": "softplus", "reg": "l2"},
    {"reg": "l2", "fit": False},
]


def make(lib: Any, options: dict[str, Any]) -> Any:
    """A parameter with options by name."""
    parts = {"softplus": lib.SoftplusT(0.5), "l1": lib.L1Reg(0.5), "l2": lib.L2Reg(0.5)}
    spelled = {k: parts[v] if isinstance(v, str) else v for k, v in options.items()}
    return lib.Param(jnp.asarray(VALUE), **spelled)


@pytest.mark.parametrize("options", OPTIONS, ids=[str(list(o)) for o in OPTIONS])
def test_param_does_as_published(options: dict[str, Any]) -> None:
    ours, published = make(nn, options), make(bst, options)
    assert isinstance(ours.val, ParamState) == isinstance(published.val, brainstate.ParamState)
    for change in (
        lambda p: None,
        lambda p: p.set_value(jnp.asarray(VALUE) * 2),
        lambda p: p.clip(1.5, 5.0),
        lambda p: p.clip(max_val=3.0),
        lambda p: p.clip(),
    ):
        if "precompute" in options and change(ours) is None:
            # The published clip writes the precomputed value back, so that the precomputation is
            # applied twice. Here the bounds are those of the value before it.
            published.set_value(ours.t.forward(raw(ours)))
        else:
            change(ours)
            change(published)
        close(raw(ours), raw(published))
        close(ours.value(), published.value())
        close(ours.reg_loss(), published.reg_loss())
    assert list(ours.states()) == list(published.states())


@pytest.mark.parametrize(
    "value", [2.0, 3, True, [1.0, 2.0], np.ones(2), np.ones(2, np.int32), jnp.ones(2, jnp.float16)]
)
def test_values_become_arrays_of_the_default_dtype(value: Any) -> None:
    ours, published = nn.Param(value), bst.Param(value)
    assert ours.val.value.dtype == published.val.value.dtype == np.float32
    close(ours.value(), published.value())


def test_complex_values_stay_complex() -> None:
    assert nn.Param(jnp.ones(2, jnp.complex64)).val.value.dtype == jnp.complex64


def test_none_is_a_value() -> None:
    assert nn.Param(None).val.value is None


@pytest.mark.parametrize(
    "value", [{"a": 1.0}, ParamState(1.0), nn.init.ZeroInit(), nn.ReLU()], ids=str
)
def test_what_is_no_array_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="holds an array"):
        nn.Param(value)


def test_bad_parts_are_refused() -> None:
    with pytest.raises(TypeError, match="t must be a Transform"):
        nn.Param(1.0, t=3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="reg must be"):
        nn.Param(1.0, reg=3)  # type: ignore[arg-type]


def test_const_is_not_trained() -> None:
    const = nn.Const(jnp.ones(2), t=nn.SoftplusT(0.0), reg=nn.L2Reg())
    assert list(const.states()) == []
    assert not const.fit
    close(const.value(), jnp.ones(2))
    assert const.reg_loss() == 0.0
    assert nn.Const(1.0, fit=False).value() == 1.0
    with pytest.raises(ValueError, match="not trained"):
        nn.Const(1.0, fit=True)


def test_param_init_makes_constants() -> None:
    made: Any = nn.Param.init(nn.init.Constant(2.0), 3)
    assert type(made) is nn.Const
    assert made.value().tolist() == [2.0, 2.0, 2.0]
    param = nn.Param(1.0)
    assert nn.Param.init(param, 3) is param
    assert nn.Param.init(None, 3) is None
    whole: Any = nn.Param.init(jnp.ones(4), t=nn.SoftplusT(0.0))
    assert whole.value().shape == (4,)
    with pytest.raises(ValueError, match="does not fit"):
        nn.Param.init(jnp.ones(4), 3)
    with pytest.raises(ValueError, match="not None"):
        nn.Param.init(None, 3, allow_none=False)


# -- the cache ------------------------------------------------------------------------------------


def test_cache_is_kept_until_a_write() -> None:
    param = nn.Param(VALUE, t=nn.SoftplusT(0.0))
    kept = param.cache()
    assert param.value() is kept
    assert param.cache() is kept
    assert param.cache_stats == {"valid": True, "has_cached_value": True}
    param.val.value = jnp.zeros(3)
    assert param.cache_stats == {"valid": False, "has_cached_value": False}
    close(param.value(), np.log(2.0) * np.ones(3))
    param.cache()
    param.set_value(VALUE)
    close(param.value(), VALUE)
    param.cache()
    param.clear_cache()
    assert not param.cache_stats["valid"]


def test_cache_of_a_constant_follows_writes() -> None:
    const = nn.Const(VALUE)
    const.cache()
    const.set_value(VALUE * 2)
    close(const.value(), VALUE * 2)


def test_cache_follows_a_new_transformation() -> None:
    # The published one goes on to give the value of the old transformation.
    param = nn.Param(VALUE, t=nn.ExpT(0.0))
    param.cache()
    param.t = nn.IdentityT()
    close(param.value(), np.log(VALUE))
    param.cache()
    param.precompute = jnp.exp
    close(param.value(), VALUE)


def test_cache_is_no_part_of_the_pytree_copies_or_pickles() -> None:
    param = nn.Param(VALUE, t=nn.SoftplusT(0.0))
    structure: Any = jax.tree.structure(param)
    param.cache()
    assert jax.tree.structure(param) == structure
    for new in (
        copy.deepcopy(param),
        pickle.loads(pickle.dumps(param)),
        jax.tree.map(lambda x: x, param),
    ):
        assert not new.cache_stats["has_cached_value"]
        close(new.value(), VALUE)


def test_cache_made_in_a_trace_is_not_used_outside() -> None:
    param = nn.Param(VALUE, t=nn.SoftplusT(0.0))
    jax.jit(lambda: param.cache())()
    assert not param.cache_stats["valid"]
    assert isinstance(param.value(), jax.Array)
    close(param.value(), VALUE)


def test_cache_made_in_a_trace_is_used_there() -> None:
    calls = []

    def count(x: jax.Array) -> jax.Array:
        calls.append(1)
        return x

    param = nn.Param(VALUE, precompute=count)

    @jax.jit
    def twice(p: nn.Param) -> jax.Array:
        p.cache()
        return jnp.asarray(p.value() + p.value())

    close(twice(param), VALUE * 2)
    assert len(calls) == 1


def test_gradient_goes_through_a_cache() -> None:
    param = nn.Param(VALUE, t=nn.SoftplusT(0.0))

    def loss(p: nn.Param) -> jax.Array:
        with p.param_precompute():
            return jnp.sum(jnp.asarray(p.value()))

    close(jax.grad(loss)(param).val.value, jax.nn.sigmoid(param.val.value))


def test_cache_events_can_be_logged(caplog: pytest.LogCaptureFixture) -> None:
    loud = nn.Param(VALUE, enable_cache_logging=True)
    quiet = nn.Param(VALUE)
    with caplog.at_level(logging.INFO):
        for param in (loud, quiet):
            param.cache()
            param.value()
            param.set_value(VALUE)
            param.value()
            param.clear_cache()
    events = [record.getMessage().rsplit(" ", 1)[1] for record in caplog.records]
    assert events == ["filled", "hit", "invalidated", "cleared"]


# -- skeletons ------------------------------------------------------------------------------------


def test_skeletons() -> None:
    with nn.init.abstract():
        param = nn.Param(VALUE, t=nn.SoftplusT(0.0))
    assert type(param.val.value) is jax.ShapeDtypeStruct
    blank = nn.Param(jax.ShapeDtypeStruct((2,), np.float16), t=nn.SoftplusT(0.0))
    assert (blank.val.value.shape, blank.val.value.dtype) == ((2,), np.float32)


# -- transformations ------------------------------------------------------------------------------


@pytest.mark.parametrize("row", [row for row in TRANSFORMS if row.differs is None], ids=str)
def test_every_transformation_in_a_parameter(row: TransformRow) -> None:
    values = row.values(nn)
    ours, published = (lib.Param(values, t=row.make(lib)) for lib in (nn, bst))
    near: Any = {"rtol": 10 * row.tolerance, "atol": 1e-5}
    np.testing.assert_allclose(ours.val.value, published.val.value, **near)
    np.testing.assert_allclose(ours.value(), published.value(), **near)
    assert (ours.cache() == ours.value()).all()
    ours.set_value(values + 0)
    assert not ours.cache_stats["valid"]
    loss, gradient = jax.jit(jax.value_and_grad(lambda p: (p.value() ** 2).sum()))(ours)
    np.testing.assert_allclose(loss, (values**2).sum(), rtol=1e-4)
    assert type(gradient) is nn.Param
    assert np.isfinite(gradient.val.value).all()
    assert pickle.loads(pickle.dumps(ours)).t == ours.t


def test_softplus_below_its_bound() -> None:
    inverse = nn.SoftplusT(0.5).inverse(jnp.array([0.4, 0.5]))
    assert np.isnan(inverse[0])
    assert np.isneginf(inverse[1])


def test_log_det_is_that_of_the_jacobian() -> None:
    x = jnp.array([-1.0, 0.5, 2.0])
    t = nn.SoftplusT(0.5)
    slopes: Any = jax.jacfwd
    jacobian = np.asarray(slopes(t.forward)(x))
    close(t.log_abs_det_jacobian(x, t.forward(x)), np.log(np.abs(np.linalg.det(jacobian))))


def test_transforms_compare_by_arguments() -> None:
    assert nn.SoftplusT(0.0) == nn.SoftplusT(0.0)
    assert nn.SoftplusT(0.0) != nn.SoftplusT(1.0)
    assert nn.SoftplusT(0.0) != nn.IdentityT()
    assert hash(nn.SoftplusT(np.zeros(2))) == hash(nn.SoftplusT(np.zeros(2)))
    assert repr(nn.SoftplusT(0.5)) == "SoftplusT(lower=0.5)"


def test_own_transforms() -> None:
    class Doubled(nn.Transform):
        def forward(self, x: Any) -> Any:
            return x * 2

        def inverse(self, y: Any) -> Any:
            return y / 2

    param = nn.Param(VALUE, t=Doubled())
    close(param.val.value, VALUE / 2)
    close(param.value(), VALUE)
    with pytest.raises(NotImplementedError, match="Doubled has no log_abs_det_jacobian"):
        Doubled().log_abs_det_jacobian(1, 2)
    with pytest.raises(TypeError, match="abstract"):
        nn.Transform()  # type: ignore[abstract]


# -- penalties ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["L1Reg", "L2Reg"])
@pytest.mark.parametrize("weight", [1.0, 2.0, 0.0, np.array([1.0, 2.0], np.float32)], ids=str)
def test_penalty_equals_the_published_one(name: str, weight: Any) -> None:
    ours, published = getattr(nn, name)(weight), getattr(bst, name)(weight)
    value = jnp.array([1.0, -3.0])
    close(ours.loss(value), published.loss(value))
    close(ours(value), published.loss(value))
    close(ours.reset_value(), published.reset_value())
    random.seed(2)
    brainstate.random.seed(2)
    close(ours.sample_init((3, 2)), published.sample_init((3, 2)))
    assert list(ours.states()) == list(published.states()) == []


def test_reset_to_prior_keeps_the_shape() -> None:
    param = nn.Param(VALUE, reg=nn.L2Reg())
    param.reset_to_prior()
    assert param.value().tolist() == [0.0, 0.0, 0.0]
    plain = nn.Param(VALUE)
    plain.reset_to_prior()
    close(plain.value(), VALUE)


def test_base_penalty_has_no_formula() -> None:
    base = nn.Regularization(fit_hyper=True)
    assert base.fit_hyper
    calls: list[Any] = [lambda: base.loss(1.0), lambda: base.sample_init(2), base.reset_value]
    for call in calls:
        with pytest.raises(NotImplementedError, match="Regularization does not define"):
            call()
