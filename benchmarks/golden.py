"""The same numbers to the bit, before and after the code has changed its shape.

    python -m benchmarks.golden compare --commit REV

asks every verb and every method of two networks, once with the code of that commit, from a worktree, and once
with the code that is here, each in a process with one thread, and lists the numbers that differ. What got another name
since is in `NAMES`. A change that is meant to change numbers says which, and `--allow PATTERN` leaves those out.
"""

from __future__ import annotations

import fnmatch
import inspect
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

NAMES: dict[str, str] = {
    "portray": "visualize", "assemble": "class_tree", "dictionary": "channels", "Neighbours": "Neighbors",
    "strip": "snapshots", "own": "uses_own_parts", "shown": "display", "portraits": "images", "hidings": "tests",
    "against": "opponents", "each": "tests", "picture": "source",
}  # fmt: skip
"""What verbs, fields and options were called -> what they are called."""

WORDS = {
    "neighbours": "neighbors",
    "(centre)": "(center)",
    "taken by biases and stabilisers": "taken by biases and stabilizers",
}
"""The same of keys and values."""

PASSING = {
    "seconds", "versions", "photos", "queries", "references", "baseline_maps", "notes", "model", "parameters",
    "explain_again",
}  # fmt: skip
"""Fields that hold no numbers of the answer, or such as differ from run to run."""

ROOT = Path(__file__).parents[1]


def record(file: Path) -> None:
    """All numbers of all answers of the foveal that can be imported, as an npz file."""
    import torch

    import foveal

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    known: dict[str, Any] = {}
    for network, (model, x, embedding) in _networks().items():
        for name, ask in _questions(foveal, model, x, embedding).items():
            torch.manual_seed(0)
            try:
                answer = ask()
            except foveal.FovealError as error:
                known[f"{network}/{name}/refused"] = np.array(type(error).__name__)
                continue
            for path, value in numbers(answer):
                known[f"{network}/{name}{path}"] = value
    np.savez(file, **known)


def _networks() -> dict[str, tuple[Any, Any, Any]]:
    """Network -> a classifier, four inputs, and an embedding of them."""
    import torch
    from torch import nn

    import foveal

    demo, embed = foveal.load_model("demo"), foveal.load_model("embed")
    torch.manual_seed(7)
    x = torch.rand(4, 3, 160, 160) * 4 - 2
    residual = foveal.load_model("torchvision:resnet18", pretrained=False).module
    for module in residual.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    body = nn.Sequential(*list(residual.children())[:-1], nn.Flatten()).eval()
    return {"demo": (demo, x, embed), "resnet18": (residual, x[:, :, :96, :96].contiguous(), body)}


def _questions(foveal: Any, model: Any, x: Any, embedding: Any) -> dict[str, Callable[[], Any]]:
    """Name -> asks."""
    slow = {
        "rise": "rise:count=32", "occlusion": "occlusion:window=48,stride=48", "smoothgrad": "smoothgrad:samples=4",
        "integratedgradients": "integratedgradients:steps=8", "gradientshap": "gradientshap:samples=4",
        "sscorecam": "sscorecam:samples=2", "isscorecam": "isscorecam:samples=2", "opticam": "opticam:steps=3",
        "scorecam": "scorecam:clusters=8",
    }  # fmt: skip
    classes = {"labels": None, "task": "classes"}
    asked: dict[str, Callable[[], Any]] = {}
    for name, method in foveal.METHODS.items():
        spelled = slow.get(name, name)
        if method.similarity:
            like = foveal.Similar(x[1:2])
            asked[f"explain/{name}"] = lambda m=spelled, t=like: foveal.explain(embedding, x[:1], t, method=m)
        else:
            asked[f"explain/{name}"] = lambda m=spelled: foveal.explain(model, x[:2], 1, method=m, **classes)
            asked[f"explain all/{name}"] = lambda m=spelled: foveal.explain(
                model, x[:1], foveal.Margin(1, 2), method=m, layer="all", **classes
            )

    def verb(name: str) -> Any:
        """By today's name, or by that of before."""
        before = next((old for old, new in NAMES.items() if new == name), name)
        return getattr(foveal, name if name in foveal.__all__ else before)

    def judged(name: str, images: Any, maps: Any, **given: Any) -> Any:
        """`measure` or `audit`, whose target came after the explanations once."""
        verb = getattr(foveal, name)
        by_keyword = inspect.signature(verb).parameters["explanations"].kind is inspect.Parameter.KEYWORD_ONLY
        if by_keyword:
            return verb(model, images, 1, explanations=maps, **given, **classes)
        return verb(model, images, maps, 1, **given, **classes)

    support, kinds = x[:2], ["a", "b"]
    asked |= {
        "explain/predicted": lambda: foveal.explain(model, x, **classes),
        "explain/finer": lambda: foveal.explain(model, x[:1], 1, resolution=2, **classes),
        "explain/scales": lambda: foveal.explain(model, x[:1], 1, scales=(1, 1.5), **classes),
        "explain/similar": lambda: foveal.explain(embedding, x[:2], foveal.Similar(x[2:3])),
        "explain/prototypes": lambda: foveal.explain(embedding, x[2:3], foveal.Prototypes(support, kinds)),
        "explain/neighbours": lambda: foveal.explain(embedding, x[2:3], verb("Neighbors")(support, kinds)),
        "compare": lambda: foveal.compare(model, x[:2], 1, methods="fast", **classes),
        "stages": lambda: foveal.stages(model, x),
        "match": lambda: foveal.match(embedding, x[:2], x[2:], lines=4),
        "match/linear": lambda: foveal.match(embedding, x[:2], x[2:], weights="linear", lines=4),
        "parts": lambda: foveal.parts(model, x[:2], 1, **classes),
        "episode": lambda: verb("episode")(embedding, x[2:3], support, kinds),
        "flows": lambda: foveal.flows(model, x[:1], [1, 2], **classes),
        "decompose": lambda: _grown(foveal.decompose(model, x[:1], 1, **classes)),
        "measure": lambda: judged("measure", x[:1], ["gradcam", "hirescam"]),
        "audit": lambda: judged("audit", x[:2], "gradcam", draws=3),
        "sanity": lambda: foveal.sanity(model, x[:1], 1, steps=3, **classes),
        "shortcuts": lambda: foveal.shortcuts(model, x.repeat(2, 1, 1, 1), [0, 1] * 4, **classes),
        "visualize": lambda: verb("visualize")(model, x, layer=-1, steps=3, facets=1, seeds=1),
    }
    for mode in ("exact", "project", "cascade"):
        asked[f"flow/{mode}"] = lambda m=mode: foveal.flow(model, x[:1], 1, mode=m, **classes)
    for rule in ("pool_up", "exact", "window"):
        asked[f"decompose/{rule}"] = lambda r=rule: _grown(foveal.decompose(model, x[:1], 1, rule=r, **classes))
    return asked


def _grown(tree: Any) -> Any:
    """Three levels, with all that is to be known of each edge; its audit beside it."""
    tree.grow(3)
    edges = [
        {"of": str(key), "to": [(str(edge.child.key), float(edge.share)) for edge in feature.edges or ()]}
        for key, feature in tree.features.items()
    ]
    return {"edges": edges}


def numbers(value: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Every number in an answer and where it is, with today's names."""
    import torch

    if isinstance(value, torch.Tensor):
        yield path, value.detach().cpu().float().numpy()
    elif isinstance(value, np.ndarray | bool | int | float | str) or value is None:
        yield (
            path,
            np.asarray("None" if value is None else WORDS.get(value, value) if isinstance(value, str) else value),
        )
    elif depth > 8:
        return
    elif hasattr(value, "_asdict"):
        for name, part in value._asdict().items():
            yield from numbers(part, f"{path}.{name}", depth + 1)
    elif is_dataclass(value) and not isinstance(value, type | Sequence):
        for field in fields(value):
            if field.name not in PASSING and not field.name.startswith("_"):
                name = NAMES.get(field.name, field.name)
                yield from numbers(getattr(value, field.name), f"{path}.{name}", depth + 1)
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from numbers(one, f"{path}[{WORDS.get(key, key)}]", depth + 1)
    elif isinstance(value, Sequence):
        for number, one in enumerate(value):
            yield from numbers(one, f"{path}[{number}]", depth + 1)


def recorded(source: Path, file: Path) -> Mapping[str, Any]:
    """The numbers of the package in a folder of sources."""
    known = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    subprocess.run([sys.executable, __file__, "record", str(file)], env=known, check=True)
    return dict(np.load(file))


def compared(before: Mapping[str, Any], after: Mapping[str, Any], allowed: Sequence[str]) -> list[str]:
    """A line for each number that is not what it was."""
    lines = []
    for name in sorted({*before, *after}):
        if any(fnmatch.fnmatch(name, pattern) for pattern in allowed):
            continue
        if name not in before or name not in after:
            lines.append(f"{name}: {'new' if name in after else 'gone'}")
        elif before[name].shape != after[name].shape:
            lines.append(f"{name}: shape {before[name].shape} -> {after[name].shape}")
        elif before[name].tobytes() != after[name].tobytes():
            lines.append(f"{name}: {_apart(before[name], after[name])}")
    return lines


def _apart(before: Any, after: Any) -> str:
    if before.dtype.kind not in "fiub" or after.dtype.kind not in "fiub":
        return f"{before!r} -> {after!r}"
    return (
        f"up to {np.nanmax(np.abs(before.astype(float) - after.astype(float))):.3g} of {np.nanmax(np.abs(before)):.3g}"
    )


app = typer.Typer()


@app.command("record")
def record_command(file: Path) -> None:
    """Write the numbers of the foveal that can be imported."""
    record(file)


@app.command()
def compare(
    commit: Annotated[str, typer.Option(help="the commit that is held against the code here")],
    allow: Annotated[list[str] | None, typer.Option(help="names of numbers that may differ")] = None,
) -> None:
    """Hold the code that is here against a commit."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", str(tree), commit], cwd=ROOT, check=True)
        try:
            before = recorded(tree / "src", Path(folder) / "before.npz")
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=ROOT, check=True)
        after = recorded(ROOT / "src", Path(folder) / "after.npz")
    lines = compared(before, after, allow or ())
    print(*lines, f"{len(before)} numbers before, {len(after)} after, {len(lines)} differ", sep="\n")
    raise typer.Exit(bool(lines))


if __name__ == "__main__":
    app()
