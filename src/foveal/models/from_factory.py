"""Networks made by a person's own code: "package.module:factory" or "path/to/file.py:factory"."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import sys
import traceback
from contextlib import contextmanager
from difflib import get_close_matches
from functools import partial
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from foveal.errors import FovealError, ModelError, UnknownModel
from foveal.models.black_box import is_black_box, takes_images
from foveal.models.extras import with_operators
from foveal.models.labels import own_labels
from foveal.models.model import Model, boxed
from foveal.models.own_task import own_task
from foveal.storage.reading import DAMAGE, reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import CodeType, ModuleType


_LIBRARY = re.compile(r"site-packages|^<|lib/python\d")


def build(spec: str, *, arguments: Mapping[str, object]) -> Model:
    """What the factory returns, as a Model; a network that is there, in no function, is taken as it is.

    A function with one required argument is no factory: it takes images, and is explained itself.

    The file's folder is importable while its code runs, as it would be for `python file.py`, and no longer.
    """
    with _importable(_folder(spec)):
        made = own_object(spec)
        if takes_images(made) and not arguments:
            return boxed(made, spec)
        if not isinstance(made, (nn.Module, Model)):
            made = _call(made, spec, arguments)
    if isinstance(made, Model):
        return made
    if isinstance(made, nn.Module):
        return Model(made, spec, labels=own_labels(made), card={"source": spec}).with_task(*own_task(made))
    if is_black_box(made):
        return boxed(made, spec)
    raise ModelError(f"{spec} returned a {type(made).__name__}: it must return an nn.Module or a foveal.Model.")


def own_object(spec: str, *, what: str = "a network") -> object:
    """What is called so in a person's file or module: "path/to/file.py:name" or "package.module:name".

    Raises:
        ModelError: when there is no such file, module or name, or its code fails; `what` it was to be.
    """
    where, _, name = spec.rpartition(":")
    with _importable(_folder(spec)):
        module = _import_file(Path(where), what) if where.endswith(".py") else _import_module(where, name)
        return _attribute(module, name, spec)


def own_makers(file: str) -> list[str]:
    """The functions and network classes that a person's file defines itself, read without running it."""
    try:
        tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    except DAMAGE:
        return []
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]
    return functions or [node.name for node in tree.body if isinstance(node, ast.ClassDef)]


def _folder(spec: str) -> Path | None:
    where = spec.rpartition(":")[0]
    return Path(where).parent.resolve() if where.endswith(".py") else None


def check_harmless(architecture: str, weights: Path) -> None:
    """Refuse a sidecar that by itself would run other code than networks of timm, torchvision or foveal.

    Weights and their sidecar are data that people pass around; whoever wants other code to run names it.
    """
    where, _, name = architecture.rpartition(":")
    if where in ("timm", "torchvision"):
        return
    if where.startswith("foveal."):
        network = getattr(_import_module(where, name), name, None)
        if isinstance(network, type) and issubclass(network, nn.Module) and network.__module__.startswith("foveal."):
            return
    raise ModelError(
        f"The sidecar of {weights} wants to run {architecture!r}, which a data file may not do by itself: "
        f"if you trust that code, name it, load_model({architecture!r}, weights={str(weights)!r})."
    )


def _import_module(name: str, factory: str) -> ModuleType:
    try:
        return with_operators(lambda: importlib.import_module(name))
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise ModelError(f"Cannot import {name}: it needs {error.name}, which is not installed.") from error
        file = Path(*name.split(".")).with_suffix(".py")
        hint = f"write '{file}:{factory}'" if file.exists() else f"install it, or write 'path/to/file.py:{factory}'"
        raise UnknownModel(f"Cannot import {name}: there is no module {error.name!r}; {hint}.") from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise _failed(f"importing {name}", error) from error


def _import_file(path: Path, what: str) -> ModuleType:
    if not path.is_file():
        raise ModelError(f"Cannot load {what} from {path}: there is no such file.")
    # A name of its own: two files called net.py are two modules.
    name = f"foveal_factory_{abs(hash(path.resolve())):x}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ModelError(f"Cannot load {what} from {path}: it is not a Python file.")
    if isinstance(spec.loader, SourceFileLoader):
        spec.loader = _AsWritten(name, str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look their module up there
    try:
        with_operators(partial(spec.loader.exec_module, module))
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, KeyboardInterrupt):
            raise
        raise _failed(f"running {path}", error) from error
    return module


class _AsWritten(SourceFileLoader):
    """Runs what is in the file now, and leaves no compiled copy beside it.

    Python takes a compiled copy for current where the file has the same size and was changed within the same second.
    """

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def _attribute(module: ModuleType, name: str, spec: str) -> object:
    try:
        return getattr(module, name)
    except AttributeError:
        pass
    except DAMAGE as error:
        raise _failed(f"looking up {spec}", error) from error
    there = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
    close = get_close_matches(name, there, n=3) or there[:6]
    hint = f"did you mean {' or '.join(close)}?" if close else "it defines no function."
    raise UnknownModel(f"{spec.rpartition(':')[0]} has no {name!r}: {hint}")


def _call(factory: object, spec: str, arguments: Mapping[str, object]) -> object:
    if not callable(factory):
        raise ModelError(f"{spec} is a {type(factory).__name__}: name a function that returns the network.")
    try:
        return with_operators(lambda: factory(**arguments))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise _failed(f"calling {spec}({', '.join(arguments)})", error) from error


def _failed(doing: str, error: BaseException) -> FovealError:
    """A foreseen error as it is; anything else that a person's code may raise, sys.exit included, in one sentence."""
    if isinstance(error, FovealError):
        return error
    return ModelError(
        f"{doing[0].upper()}{doing[1:]} failed with {type(error).__name__}: {reason(error)}{_line(error)}."
    )


def _line(error: BaseException) -> str:
    """ " (line 12 of my.py)": the last line of a person's own code that ran; a syntax error says it itself."""
    frames = [] if isinstance(error, SyntaxError) else traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename != __file__ and not _LIBRARY.search(frame.filename)]
    return f" (line {own[-1].lineno} of {own[-1].filename})" if own else ""


@contextmanager
def _importable(folder: Path | None) -> Iterator[None]:
    if folder is None:
        yield
        return
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
