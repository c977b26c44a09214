"""What timm and torchvision have in common: building by name, and failing in one sentence."""

from __future__ import annotations

import sys
from contextlib import contextmanager, redirect_stdout
from difflib import get_close_matches
from typing import TYPE_CHECKING

import torch

from foveal.errors import FovealError, ModelError, UnknownModel, printable, shown
from foveal.storage.reading import DAMAGE, reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

# A sidecar is data: it may shape the network, but not make the library fetch or read anything.
FETCHING = {"pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir"}
RESERVED = FETCHING | {"weights", "weights_backbone", "progress", "device", "dtype"}


@contextmanager
def building(spec: str, arguments: Mapping[str, object], *, fetching: bool) -> Iterator[None]:
    """Around the call that builds: equal random weights every time, the caller's generator untouched.

    What the library raises becomes one sentence; `fetching` says that trained weights may be downloaded. What it
    prints, such as "Downloading: …", goes to standard error: standard output is for results.
    """
    refused = sorted(RESERVED & arguments.keys())
    if refused:
        raise ModelError(f"Cannot build {spec} with the argument {refused[0]!r}: a sidecar may not set it.")
    given = ", ".join(f"{printable(key)}={shown(value)}" for key, value in arguments.items()) or "its defaults"
    with torch.random.fork_rng(devices=[]), redirect_stdout(sys.stderr):
        torch.manual_seed(0)
        try:
            yield
        except FovealError:
            raise
        except (OSError, RuntimeError) as error:
            if fetching:
                raise _unfetched(spec, error) from error
            raise ModelError(f"Cannot build {spec} with {given}: {reason(error)}.") from error
        except DAMAGE as error:
            raise ModelError(f"Cannot build {spec} with {given}: {reason(error)}.") from error


def unknown(source: str, name: str, names: Iterable[str]) -> ModelError:
    """The error for a name that the library does not know, with the nearest that it does."""
    close = get_close_matches(name, list(names), n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else "`foveal models` lists them."
    return UnknownModel(f"{source} has no model called {name!r}: {hint}")


def _unfetched(spec: str, error: Exception) -> ModelError:
    reason = " ".join(str(getattr(error, "reason", error)).split()).split(". ")[0]
    return ModelError(
        f"Cannot get the trained weights of {spec}, downloading them failed ({reason}): pass a local file "
        "(weights=…), or ask for random weights (pretrained=False)."
    )
