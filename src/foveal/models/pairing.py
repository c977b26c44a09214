"""Weights and the sidecar that describes them: two files that change together.

While new weights are on their way the sidecar tells both stories, each with the digest of its weights:

    x.json: old                     x.safetensors: old
    x.json: new, before it old      x.safetensors: old          a kill here, and old is what is loaded
    x.json: new, before it old      x.safetensors: new
    x.json: new                     x.safetensors: new
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from foveal.errors import ModelError
from foveal.models.sidecar import Earlier, Sidecar, find_sidecar, sidecar_path
from foveal.storage.atomic import refusal, write_bytes, write_text
from foveal.storage.folder import digest_of
from foveal.storage.lock import alone
from foveal.storage.reading import damage

TRIES = 20


class _NoSidecar(ModelError):
    """Somebody else's file bears the name."""


def replace_pair(path: Path, weights: bytes, sidecar: Sidecar) -> None:
    """Both files, instead of those that are there."""
    json_file = sidecar_path(path)
    digest = hashlib.sha256(weights).hexdigest()
    with refusal(path, ModelError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with alone(path.with_name(".foveal-lock-model")):
            before = _earlier(path)
            write_text(json_file, sidecar.model_copy(update={"digest": digest, "before": before}).to_json(), ModelError)
            write_bytes(path, weights, ModelError)
            write_text(json_file, sidecar.model_copy(update={"digest": digest}).to_json(), ModelError)


def described(path: Path) -> Sidecar | None:
    """The sidecar of the weights at `path`, as far as there is one.

    Raises:
        ModelError: for a sidecar that is damaged, or of other weights.
    """
    for _ in range(TRIES):
        sidecar = find_sidecar(path)
        if sidecar is None or sidecar.digest is None:
            return sidecar
        with damage(f"Cannot read weights from {path}", ModelError):
            digest = digest_of(path)
        if digest == sidecar.digest:
            return sidecar
        if sidecar.before and digest == sidecar.before.digest:
            return Sidecar.model_validate(sidecar.before.sidecar) if sidecar.before.sidecar else None
        if find_sidecar(path) == sidecar:  # else somebody saved both meanwhile
            break
    raise ModelError(
        f"The weights in {path} are not those that {sidecar_path(path).name} was written with: save both again by "
        'save_model, or remove its "digest" if you know that it describes them.'
    )


def _earlier(path: Path) -> Earlier | None:
    """What is there, to be told of until the new weights are."""
    json_file = sidecar_path(path)
    try:
        if json_file.exists() and find_sidecar(path) is None:
            raise _NoSidecar(f"Cannot save a model to {path}: {json_file.name} there is no sidecar; name another file.")
        sidecar = described(path) if path.exists() else None
    except _NoSidecar:
        raise
    except ModelError:  # a sidecar of ours, but damaged, or of other weights
        sidecar = None
    if not path.exists():
        return None
    return Earlier(digest=digest_of(path), sidecar=json.loads(sidecar.to_json()) if sidecar else None)
