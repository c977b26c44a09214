"""Image classifiers of Hugging Face's transformers, from the hub or a folder, with their processor and labels."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foveal.errors import ModelError, shown
from foveal.models.extras import import_transformers
from foveal.models.hub import impatient
from foveal.models.labels import own_labels
from foveal.models.model import Model
from foveal.models.own_task import PROBLEMS, TRANSFORMERS, Known
from foveal.models.processor import as_preprocessing
from foveal.models.zoo import building
from foveal.storage.reading import DAMAGE, reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from foveal.images import Preprocessing


def is_folder(spec: str) -> bool:
    """Whether this is a folder that a network of transformers was saved in."""
    return (Path(spec) / "config.json").is_file()


def build(name: str, *, pretrained: bool) -> Model:
    """`AutoModelForImageClassification.from_pretrained(name)` as a Model; a folder or "org/name" on the hub.

    Code that lies beside the weights is never run, and pickled weights are read as weights only.
    """
    transformers = import_transformers()
    if Path(name).is_dir() and not is_folder(name):
        raise ModelError(
            f"Cannot load a network from the folder {name}: it has no config.json, as transformers writes."
        )
    spec = f"hf:{name}"
    with building(spec, {}, fetching=False), impatient(), _silent(transformers):
        config = _fetched(spec, name, lambda: transformers.AutoConfig.from_pretrained(name, trust_remote_code=False))
        loader = transformers.AutoModelForImageClassification
        if type(config) not in loader._model_mapping:
            raise ModelError(
                f"{spec} is no image classifier that transformers can build without code of others: its "
                f"configuration is of {shown(config.model_type)}; write a factory that returns the network, "
                "'path/to/file.py:factory'."
            )
        if pretrained:
            module, report = _fetched(
                spec, name, lambda: loader.from_pretrained(
                    name, config=config, trust_remote_code=False, weights_only=True, output_loading_info=True
                ),
            )  # fmt: skip
            _check_whole(spec, report)
        else:
            module = loader.from_config(config, trust_remote_code=False)
        preprocessing, notes = _preprocessing(transformers, name, config)
    card = {"source": f"transformers {transformers.__version__}", "weights": name if pretrained else "random"}
    return Model(module.float(), spec, preprocessing, own_labels(module), {**card, "notes": notes}).with_task(
        *_task(config)
    )


def _preprocessing(transformers: Any, name: str, config: Any) -> tuple[Preprocessing | None, list[str]]:
    try:
        processor = transformers.AutoImageProcessor.from_pretrained(name, trust_remote_code=False)
    except DAMAGE:
        return None, ["no image processor lies with the weights, so how a photo becomes the input is not known"]
    return as_preprocessing(processor, int(getattr(config, "num_channels", 3) or 3))


def _task(config: Any) -> Known:
    """As transformers reads it: without a problem type, one output is a regression, and several are classes."""
    said = PROBLEMS.get(str(getattr(config, "problem_type", None)))
    return said or (
        "value" if config.num_labels == 1 else "classes"
    ), TRANSFORMERS if said else "as transformers reads it"


def _fetched(spec: str, name: str, get: Any) -> Any:
    try:
        return get()
    except DAMAGE as error:
        if Path(name).is_dir():
            raise ModelError(f"Cannot load {spec}: {reason(error)}.") from error
        raise ModelError(
            f"Cannot get {spec} from the Hugging Face hub, and it is not in the cache ({_first(error)}): check the "
            "name and the connection, or name a folder that it was saved in, 'hf:path/to/folder'."
        ) from error


def _first(error: BaseException) -> str:
    return reason(error).partition(". ")[0].partition(",")[0].rstrip(".")[:160]


def _check_whole(spec: str, report: Any) -> None:
    """ModelError where transformers has drawn weights at random because the file lacks them."""
    lacking = sorted(map(str, report.get("missing_keys", ())))
    lacking += sorted(str(each[0] if isinstance(each, tuple) else each) for each in report.get("mismatched_keys", ()))
    if lacking:
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        raise ModelError(
            f"The weights of {spec} lack {lacking[0]}{more}, which would be random numbers: they are not those of this "
            "image classifier."
        )


@contextmanager
def _silent(transformers: Any) -> Iterator[None]:
    """Without its bars and warnings: what matters of them becomes errors and notes here."""
    log = transformers.utils.logging
    level, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(level)
        if bars:
            log.enable_progress_bar()
