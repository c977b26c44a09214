"""Methods of one's own: functions, `Method` objects, registered ones, code in files and in installed packages."""

from __future__ import annotations

import functools
import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import foveal
from foveal.errors import MethodError, UnknownMethod
from foveal.methods import METHODS, find_method, find_methods
from tests.networks import tiny

X = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def own_gradcam(A: Tensor, G: Tensor) -> Tensor:
    """Grad-CAM's formula, written as its paper has it."""
    n, c, h, w = A.shape
    return torch.bmm(G.mean((2, 3))[:, None], A.reshape(n, c, h * w)).view(n, h, w)


def powered(A: Tensor, G: Tensor, *, power: float = 1.0, absolute: bool = False) -> Tensor:
    return ((G.abs() if absolute else G) * A.abs() ** power).sum(1)


def activity(A: Tensor) -> Tensor:
    return A.abs().sum(1)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten afterwards."""
    monkeypatch.setattr(METHODS, "_own", {})


def test_the_formula_of_grad_cam_is_grad_cam_to_the_bit() -> None:
    model = tiny()
    whys = foveal.compare(model, X, 1, methods=["gradcam", own_gradcam], layer="all")
    assert [why.method for why in whys] == ["gradcam", "own_gradcam"]
    for layer in whys[0].layers:
        assert torch.equal(whys[0].maps[layer], whys[1].maps[layer])


def test_own_methods_share_the_forward_and_the_backward() -> None:
    model, passes = tiny(), {"forward": 0, "backward": 0}
    foveal.stages(model, X)

    class Counted(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, g: Tensor) -> Tensor:  # type: ignore[override]
            passes["backward"] += 1
            return g

    last = [module for module in model.modules() if not list(module.children())][-1]
    last.register_forward_hook(lambda *_: passes.__setitem__("forward", passes["forward"] + 1))
    last.register_forward_hook(lambda module, inputs, output: Counted.apply(output))
    foveal.compare(model, X, 1, methods=["gradcam", "hirescam", own_gradcam, powered, activity])
    assert passes == {"forward": 1, "backward": 1}


def test_a_function_of_activations_alone_ends_the_forward_at_its_layer() -> None:
    model = tiny()
    later: list[int] = []
    last = [module for module in model.modules() if not list(module.children())][-1]
    foveal.stages(model, X)
    last.register_forward_hook(lambda *_: later.append(1))
    why = foveal.explain(model, X, method=activity, layer="conv1")
    assert not later and why.score is None
    assert find_method(activity).needs == "activations" and find_method(own_gradcam).needs == "gradients"


def test_parameters_with_defaults_are_options(registry: None) -> None:
    model = tiny()
    foveal.register(powered)
    why = foveal.explain(model, X, 1, method="powered:power=2,absolute=true")
    assert why.method == "powered:power=2.0,absolute=True"
    assert why.parameters["power"] == 2 and why.parameters["absolute"] is True
    other = foveal.Method("other", formula=functools.partial(powered, power=2.0, absolute=True))
    expected = foveal.explain(model, X, 1, method=other)
    assert torch.equal(why.map, expected.map)
    with pytest.raises(UnknownMethod, match=r"no option 'size'; its options are: power=1.0, absolute=False"):
        find_method("powered:size=3")


def test_what_may_be_left_out_of_a_method() -> None:
    method = foveal.Method("mine", formula=own_gradcam)
    assert (method.title, method.needs, dict(method.options), method.condition) == (
        "mine",
        "gradients",
        {},
        "any layer",
    )
    assert foveal.explain(tiny(), X, 1, method=method).method == "mine"


def test_names_of_functions() -> None:
    assert list(find_methods([lambda A, G: A.sum(1), lambda A, G: G.sum(1)])) == ["lambda", "lambda-2"]

    def made(power: int) -> Any:
        def variant(A: Tensor, G: Tensor) -> Tensor:
            return (G * A**power).sum(1)

        return variant

    one, two = made(1), made(2)
    whys = foveal.compare(tiny(), X, 1, methods=[one, two, one])
    assert [why.method for why in whys] == ["variant", "variant-2"]
    assert not torch.equal(whys[0].map, whys[1].map)


def test_a_name_of_foveal_stays_what_it_is() -> None:
    def gradcam(A: Tensor, G: Tensor) -> Tensor:
        return A.sum(1)

    with pytest.raises(UnknownMethod, match="rename the function"):
        foveal.explain(tiny(), X, method=gradcam)
    from foveal.methods.cam import gradcam as own

    assert find_method(own) is METHODS["gradcam"] is find_method(METHODS["gradcam"])


def test_registered_methods_are_known_by_name(registry: None) -> None:
    @foveal.register
    def first(A: Tensor, G: Tensor) -> Tensor:
        return (G * A).sum(1)

    @foveal.register(name="second-cam", about="what it shows; more of it", title="Second-CAM")
    def second(A: Tensor, G: Tensor) -> Tensor:
        return G.sum(1)

    foveal.register(first)
    assert find_method("First").formula is first and find_method("Second-CAM").formula is second
    assert {"first", "second-cam"} <= set(find_methods("fast")) & set(METHODS)
    assert "what it shows" in repr(METHODS) and "more of it" not in repr(METHODS)
    assert "what it shows; more of it" in METHODS._repr_html_()
    for name in ("first", "gradcam", "Grad-CAM", "all"):
        with pytest.raises(UnknownMethod, match="another name"):
            foveal.register(lambda A, G: A.sum(1), name=name)
    for wrong in ("mine", 3, type(X)):
        with pytest.raises(UnknownMethod, match="cannot register"):
            foveal.register(wrong)  # type: ignore[call-overload]


def test_a_cell_of_a_notebook_may_run_again(registry: None) -> None:
    for sign in (1, -1):
        cell: dict[str, Any] = {"__name__": "__main__", "foveal": foveal}
        exec(f"@foveal.register\ndef mine(A, G):\n    return {sign} * (G * A).sum(1)", cell)
        assert METHODS["mine"].formula is cell["mine"]


BAD = {
    "returned the shape": lambda A, G: G * A,
    "sum over the channels": lambda A, G: (G * A)[:, :2],
    r"\.squeeze\(1\)": lambda A, G: (G * A).sum(1, keepdim=True),
    "keep the first axis": lambda A, G: (G * A).sum((0, 1)),
    r"the shape \(1, 8, 8\)": lambda A, G: (G * A).sum(1)[:1],
    "is a return missing": lambda A, G: None,
    "numpy.ndarray": lambda A, G: (G * A).sum(1).numpy(),
    "floating-point": lambda A, G: (G * A).sum(1) > 0,
    "divides by zero": lambda A, G: (G * A).sum(1) / torch.zeros(()),
    "changes A in place": lambda A, G: A.add_(1).sum(1),
    "changes G in place": lambda A, G: (G.clamp_(min=0) * A).sum(1),
    "failed at activations.*RuntimeError.*test_own.py, line": lambda A, G: A @ torch.ones(3, 5, 7),
    r"takes \(A, G, k\)": lambda A, G, k: A.sum(1),
    r"takes \(\)": lambda: X,
}


@pytest.mark.parametrize("said", BAD)
def test_what_a_function_does_wrongly_is_one_sentence(said: str) -> None:
    with pytest.raises(MethodError, match=said) as raised:
        foveal.compare(tiny(), X, 1, methods=["fast", BAD[said]], layer="conv1")
    assert "\n" not in str(raised.value)


@given(shape=st.lists(st.integers(1, 4), max_size=4).map(tuple))
def test_no_other_shape_passes_for_a_map(shape: tuple[int, ...]) -> None:
    method = foveal.Method("mine", formula=lambda A, G: torch.ones(shape))
    A = torch.ones(2, 3, 4, 1)
    if shape == (2, 4, 1):
        assert method(A, A).shape == shape
    else:
        with pytest.raises(MethodError, match="returned the shape"):
            method(A, A)


def test_a_differentiable_map_keeps_its_graph_or_says_so() -> None:
    x = X.clone().requires_grad_()
    assert foveal.explain(tiny(), x, 1, method=own_gradcam, differentiable=True).map.requires_grad
    with pytest.raises(MethodError, match="leaves the graph"):
        foveal.explain(tiny(), x, 1, method=lambda A, G: (A * G).detach().sum(1), differentiable=True)


def test_every_verb_takes_a_function(tmp_path: Path) -> None:
    model = tiny()
    table = foveal.measure(
        model, X, 1, explanations=[own_gradcam, "gradcam"], metrics=["deletion"], baseline_maps=False
    )
    assert table.values["own_gradcam"] == table.values["gradcam"]
    named = foveal.measure(model, X, 1, explanations={"mine": own_gradcam}, metrics="sensitivity", baseline_maps=False)
    assert list(named.values) == ["mine"]
    (test, _) = foveal.audit(model, X, 1, explanations=own_gradcam, draws=2)
    assert test.method == "own_gradcam"
    found = foveal.sanity(model, X, 1, methods=[own_gradcam, "gradcam"], steps=2, radii=(0.1,))
    assert found.checked["own_gradcam"].curve == found.checked["gradcam"].curve
    why = foveal.explain(model, X, 1, method=functools.partial(powered, power=3.0))
    why.save(tmp_path / "out")
    again = foveal.Explanation.load(tmp_path / "out")
    assert again.method == "powered" and torch.equal(again.map, why.map)


def test_words_for_several_leave_out_what_does_not_apply_wherever_they_stand() -> None:
    usual = ["gradcam", "hirescam", "layercam", "lrp-gamma"]
    assert [why.method for why in foveal.compare(tiny(), X)] == usual
    table = foveal.measure(tiny(), X, 1, explanations="usual", metrics=["deletion"], baseline_maps=False)
    assert list(table.values) == usual
    with pytest.raises(MethodError, match="fam explains similarities"):
        foveal.compare(tiny(), X, methods=["usual", "fam"])


CODE = """
from foveal import Method

def mine(A, G, *, power=1):
    return (G * A ** power).sum(1)

def broken(A, G):
    return A.missing

named = Method("my-cam", formula=mine)
three = 3
"""


def test_code_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    file = tmp_path / "my.py"
    file.write_text(CODE)
    model = tiny()
    why = foveal.explain(model, X, 1, method=f"{file}:mine:power=2")
    assert why.method == "mine:power=2" and why.parameters["power"] == 2
    assert find_method(f"{file}:named").name == "my-cam"
    assert find_method(f"{file}:mine") == find_method(f"{file}:mine")  # the file runs once
    file.write_text(CODE.replace("power=1", "power=7"))
    assert find_method(f"{file}:mine").options == {"power": 7}  # of the same size, within the same second
    assert [*tmp_path.iterdir()] == [file]
    table = foveal.measure(model, X, 1, explanations=f"{file}:mine", metrics="sensitivity", baseline_maps=False)
    assert list(table.values) == ["mine"]
    with pytest.raises(MethodError, match=r"broken failed .* AttributeError: .*my\.py, line 8"):
        foveal.explain(model, X, 1, method=f"{file}:broken")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("my.py", "which function of my.py is the method"),
        ("no.py:mine", "no such file"),
        ("my.py:nine", "did you mean mine"),
        ("my.py:three", "my.py:three is 3: name a function"),
        ("bad.py:mine", "ZeroDivisionError: division by zero .line 2 of .*bad.py"),
        ("no_package.methods:mine", "there is no module 'no_package'"),
        ("gradcan:mine", "there is no method 'gradcan': did you mean gradcam"),
    ],
)
def test_code_that_cannot_be_used(spec: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my.py").write_text(CODE)
    Path("bad.py").write_text("x = 1\n1 / 0\n")
    with pytest.raises(MethodError, match=said):
        find_method(spec)


def test_methods_of_installed_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: None) -> None:
    (tmp_path / "plugged.py").write_text(CODE)
    folder = tmp_path / "plugged-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[foveal.methods]\nplug-cam = plugged:mine\nlost = plugged:nothing\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    assert "plug-cam" not in METHODS
    assert find_method("Plug-CAM:power=2").name == "plug-cam" and "plug-cam" in METHODS
    with pytest.raises(MethodError, match="lost of the package plugged cannot be loaded"):
        find_method("lost")
    with pytest.raises(UnknownMethod, match="plug-cam"):
        find_method("plug-kam")


def test_a_name_that_the_registry_does_not_have_is_one_sentence() -> None:
    with pytest.raises(UnknownMethod, match=r"^there is no method 'grad-camm': `foveal methods` lists them$"):
        foveal.METHODS["grad-camm"]
    assert "grad-camm" not in foveal.METHODS and foveal.METHODS.get("grad-camm") is None
