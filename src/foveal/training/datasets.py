"""Where images come from, which of them are learned, and how the result is examined.

tree           FOLDER/jay/1.jpg …, or FOLDER/train/jay/1.jpg … and FOLDER/test/jay/1.jpg …; classes of test/ that
               train/ has not are told apart by a few examples
CUB            FOLDER/images.txt, image_class_labels.txt, train_test_split.txt, images/…
Market-1501    FOLDER/bounding_box_train, query, bounding_box_test: individuals to be found again
synthetic      drawn species; "individuals", drawn birds that differ in three marks each, to be found again before
               another camera; "novel", drawn species, and others that are told apart by a few examples
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Subset

from foveal.errors import ImageError
from foveal.images import Preprocessing
from foveal.images.folders import labeled_pictures, pictures_in
from foveal.storage.reading import DAMAGE, read_text, reason
from foveal.training.brnpa_data import Files, Kept, Listed, PictureDataset

if TYPE_CHECKING:
    from foveal.training.settings import Settings

Exam: TypeAlias = Literal["classes", "individuals", "few shots"]
VALIDATION = 977  # key of the drawn validation images' seed
MARKET = re.compile(r"^(-1|\d{4})_c(\d)s\d_")


@dataclass(frozen=True)
class Datasets:
    """What a training reads.

    Attributes:
        train, validation, test: images with their classes; test may be empty.
        classes: names of those that are learned.
        preprocessing: of the images as they are examined.
        exam: what is asked about the test images: their classes, who it is among those before other cameras, or which
            of a few unknown classes.
        queries: how many of the test images are looked for, the first ones, among the others.
        cameras: of the test images, where individuals are to be found again.
    """

    train: PictureDataset
    validation: PictureDataset
    test: PictureDataset
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    exam: Exam = "classes"
    queries: int = 0
    cameras: tuple[int, ...] = ()


def tree(folder: Path) -> tuple[Listed, Listed | None, tuple[str, ...]]:
    """Training images, test images where there are any, and the names of the training classes; a folder a class.

    Test classes that were not learned are numbered after those that were.

    Raises:
        ImageError: for a folder without such folders, or with some test classes learned and others not.
    """
    parts = {name: folder / name for name in ("train", "test") if (folder / name).is_dir()}
    files, names = labeled_pictures(parts.get("train", folder))
    classes = tuple(sorted(set(names)))
    number = {name: i for i, name in enumerate(classes)}
    train = Listed(tuple(files), tuple(number[name] for name in names))
    if set(parts) != {"train", "test"}:
        return train, None, classes
    files, names = labeled_pictures(parts["test"])
    unknown = sorted(set(names) - set(classes))
    if unknown and len(unknown) < len(set(names)):
        raise ImageError(
            f"{str(parts['test'])!r} has a class {unknown[0]!r} that is missing in {str(parts['train'])!r}: "
            "all test classes must be learned, or none"
        )
    number |= {name: len(classes) + i for i, name in enumerate(unknown)}
    return train, Listed(tuple(files), tuple(number[name] for name in names)), classes


def cub(folder: Path) -> tuple[Listed, Listed | None, tuple[str, ...]]:
    """The layout of CUB-200-2011 (Wah et al., 2011): lists by number of image, and its own split."""

    def column(name: str) -> dict[str, str]:
        try:
            lines = read_text(folder / name).splitlines()
            return dict(line.split(maxsplit=1) for line in lines if line.strip())
        except DAMAGE as error:
            raise ImageError(
                f"Cannot read {name} in {str(folder)!r}, which CUB-200-2011 has: {reason(error)}."
            ) from error

    files, labels, training = (
        column(name) for name in ("images.txt", "image_class_labels.txt", "train_test_split.txt")
    )
    names = column("classes.txt") if (folder / "classes.txt").is_file() else {}
    numbers = sorted(set(labels.values()), key=int)
    classes = tuple(names.get(number, number).split(".", 1)[-1].replace("_", " ") for number in numbers)
    place = {number: i for i, number in enumerate(numbers)}

    def listed(flag: str) -> Listed:
        chosen = [key for key in files if training[key] == flag]
        return Listed(
            tuple(folder / "images" / files[key] for key in chosen), tuple(place[labels[key]] for key in chosen)
        )

    return listed("1"), listed("0"), classes


def held_out(targets: Sequence[int], share: float, seed: int) -> tuple[list[int], list[int]]:
    """Numbers to learn from, and of each class a share, one at least, to choose the best epoch by."""
    order = np.random.default_rng([seed, VALIDATION]).permutation(len(targets))
    by_class: dict[int, list[int]] = {}
    for number in order.tolist():
        by_class.setdefault(targets[number], []).append(number)
    held = {number for own in by_class.values() if len(own) > 1 for number in own[: max(1, round(share * len(own)))]}
    return [i for i in range(len(targets)) if i not in held], sorted(held)


def subset(listed: Listed, numbers: Sequence[int]) -> Listed:
    """Some of them."""
    cameras = tuple(listed.cameras[i] for i in numbers) if listed.cameras else ()
    return Listed(tuple(listed.files[i] for i in numbers), tuple(listed.targets[i] for i in numbers), cameras)


def market(folder: str | Path) -> dict[str, Listed]:
    """The layout of Market-1501: "train", "query" and "gallery", identities and cameras from the files' names.

        0002_c1s1_000451_03.jpg    identity 2 before camera 1; −1 is junk, 0 a distractor

    Raises:
        ImageError: for another layout.
    """
    parts = {}
    for name, inside in (("train", "bounding_box_train"), ("query", "query"), ("gallery", "bounding_box_test")):
        files = pictures_in([Path(folder) / inside])
        read = [MARKET.match(file.name) for file in files]
        wrong = next((file for file, match in zip(files, read, strict=True) if match is None), None)
        if wrong is not None:
            raise ImageError(
                f"Cannot read the identity from {str(wrong)!r}: Market-1501 has names like 0002_c1s1_000451_03.jpg."
            )
        who = tuple(int(match[1]) for match in read if match)
        parts[name] = Listed(tuple(files), who, tuple(int(match[2]) for match in read if match))
    return parts


def open_folder(settings: Settings, like: Preprocessing | None) -> Datasets:
    """The images of a folder; `like` is how the backbone's own training took its images.

    Raises:
        ImageError: for a layout that is none of those above, or nothing to hold out.
    """
    folder = Path(settings.data)
    exam: Exam = "classes"
    test: Listed | None
    queries = 0
    cameras: tuple[int, ...] = ()
    if (folder / "bounding_box_train").is_dir():
        splits = market(folder)
        numbers = {who: i for i, who in enumerate(sorted(set(splits["train"].targets)))}
        listed = Listed(splits["train"].files, tuple(numbers[who] for who in splits["train"].targets))
        both, queries, exam = (splits["query"], splits["gallery"]), len(splits["query"].files), "individuals"
        test = Listed(both[0].files + both[1].files, both[0].targets + both[1].targets)
        cameras, classes = both[0].cameras + both[1].cameras, tuple(str(who) for who in numbers)
    elif (folder / "images.txt").is_file():
        listed, test, classes = cub(folder)
    else:
        listed, test, classes = tree(folder)
        if test and min(test.targets) >= len(classes):
            exam = "few shots"
    own = like or Preprocessing((settings.side, settings.side))
    preprocessing = Preprocessing(
        (settings.side, settings.side), resize="short", resize_to=round(settings.side / settings.crop),
        mean=own.mean, std=own.std,
    )  # fmt: skip
    learned, held = held_out(listed.targets, settings.validation, settings.seed)
    if not held:
        raise ImageError(f"{settings.data!r} has one image per class: validation needs at least two.")
    return Datasets(
        Files(subset(listed, learned), settings, preprocessing),
        Files(subset(listed, held), settings, preprocessing),
        Files(test or Listed((), ()), settings, preprocessing),
        classes,
        preprocessing,
        exam,
        queries,
        cameras,
    )


def open_synthetic(settings: Settings, workers: int = 0) -> Generator[tuple[int, int], None, Datasets]:
    """Drawn birds, kept in memory; validation images are drawn for themselves. Yields how many of how many."""
    from foveal.synthetic import CLASS_NAMES
    from foveal.synthetic.dataset import PREPROCESSING
    from foveal.training.synthetic_individuals import KNOWN

    scenes, exam, cameras = _scenes(settings)
    kept, done, total = [], 0, sum(len(cast("Any", part)) for part in scenes)
    for part in scenes:
        pairs = []
        for images, targets in DataLoader(part, batch_size=50, num_workers=workers):
            pairs.append((images, targets))
            done += len(images)
            yield done, total
        images, targets = (torch.cat(each) for each in zip(*pairs, strict=True))
        kept.append(Kept(images, targets, settings, PREPROCESSING))
    train, validation, test = kept
    classes = tuple(f"individual {i}" for i in range(KNOWN)) if exam == "individuals" else CLASS_NAMES
    queries = sum(camera == 0 for camera in cameras)
    return Datasets(train, validation, test, classes, PREPROCESSING, exam, queries, cameras)


def _scenes(settings: Settings) -> tuple[tuple[Dataset[Any], ...], Exam, tuple[int, ...]]:
    """To learn, to choose the best epoch by, and to be examined on; before which cameras."""
    from foveal.synthetic.dataset import SplitDataset
    from foveal.synthetic.individuals import INDIVIDUALS
    from foveal.synthetic.splits import Split
    from foveal.training.synthetic_classes import TrainingScenes
    from foveal.training.synthetic_individuals import KNOWN, cameras, numbers_of

    held = max(1, round(settings.validation * settings.images))
    if settings.data == "individuals":
        known = numbers_of(range(KNOWN), settings.images)
        split = SplitDataset(Split("individuals", max(known) + 1, train=True, seed=settings.seed))
        asked, camera = numbers_of(range(KNOWN, INDIVIDUALS), settings.tests), cameras(settings.tests)
        order = camera.argsort(stable=True)
        test = Subset(SplitDataset(Split("individuals", max(asked) + 1)), [asked[i] for i in order.tolist()])
        parts = (Subset(split, known[:-held]), Subset(split, known[-held:]), test)
        return parts, "individuals", tuple(camera[order].tolist())
    train = TrainingScenes(settings.images - held, settings.seed)
    validation = SplitDataset(Split("classes", held, train=True, seed=settings.seed + VALIDATION))
    unknown = settings.data == "novel"
    fresh = SplitDataset(Split("novel" if unknown else "classes", settings.tests))
    return (train, validation, fresh), "few shots" if unknown else "classes", ()
