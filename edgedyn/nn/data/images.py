"""Image files: finding them in folders, checking them, reading them as RGB."""

import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from edgedyn._array import Array
from edgedyn.nn.data.readers import DataNotFound, Raw

DEEP = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")  # modes of more than 8 bits a channel
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
LEFTOVERS = ("__MACOSX",)
NAMED = 20  # bad files, at most
VALIDATION_WORDS = ("valid", "val", "validation")


def read_folder(path: Path, *, fixed: bool) -> Raw:
    """Find and check a folder's images; `fixed`: it must have train, validation and test parts."""
    if not path.is_dir():
        raise DataNotFound(f"there is no folder {str(path)!r}; give one with a sub-folder a class.")
    folders = _part_folders(path, fixed=fixed)
    if not folders:
        files = class_folders(path)
        return Raw(_listed(files, tuple(files)), None, None, tuple(files))
    found = {part: class_folders(folder) for part, folder in folders.items()}
    names = tuple(found["train"])
    for part, files in found.items():
        if different := set(files) ^ set(names):
            raise ValueError(
                f"{path}: the folders train and {part} differ in class {sorted(different)[0]!r}."
            )
    parts = {part: _listed(files, names) for part, files in found.items()}
    return Raw(parts["train"], parts.get("validation"), parts["test"], names)


def _part_folders(path: Path, *, fixed: bool) -> dict[str, Path]:
    """Return the folders of the parts by name; none where the sub-folders are classes."""
    present = {sub.name: sub for sub in path.iterdir() if _is_class(sub)}
    validation = [word for word in VALIDATION_WORDS if word in present]
    if len(validation) > 1:
        raise ValueError(f"{path} has the folders {' and '.join(validation)}; keep one of them.")
    if not {"train", "test"} <= set(present) or (fixed and not validation):
        # Classes may be called train or test, but not all of them.
        if fixed or (present and set(present) <= {"train", "test", *validation}):
            wanted = "train, valid and test" if fixed else "both train and test"
            raise ValueError(
                f"{path} has the folders {', '.join(sorted(present)) or 'none'}; it must have "
                f"{wanted}, each with one sub-folder a class."
            )
        return {}
    if others := sorted(set(present) - {"train", "test", *validation}):
        taken = f"train, test and one of {', '.join(VALIDATION_WORDS)}"
        words = (
            f"skipped the folder{'s' * (len(others) > 1)} {', '.join(others)}; taken are {taken}."
        )
        warnings.warn(f"{path}: {words}", stacklevel=2)
    folders = {"train": present["train"], "test": present["test"]}
    return folders | ({"validation": present[validation[0]]} if validation else {})


def _listed(files: dict[str, list[Path]], names: tuple[str, ...]) -> tuple[Array, Array]:
    """Return all files with their labels."""
    paths = np.array([p for name in names for p in files[name]], dtype=object)
    if not all(map(_is_whole, paths)):  # then all that are damaged are named, cut ones, too
        raise bad_images([path for path in paths if not decoded(path)])
    return paths, np.repeat(np.arange(len(names)), [len(files[name]) for name in names])


def class_folders(folder: Path) -> dict[str, list[Path]]:
    """Return each class's image files, classes and files in sorted order; at least two classes."""
    found = {
        sub.name: sorted(p for p in sub.iterdir() if _is_image(p))
        for sub in sorted(folder.iterdir())
        if _is_class(sub)
    }
    if len(found) < 2:
        raise ValueError(
            f"{folder} has {len(found)} class folders; give at least two, one sub-folder a class."
        )
    if skipped := _skipped(folder, found):
        warnings.warn(f"{folder}: {skipped}", stacklevel=2)
    for name, files in found.items():
        if not files:
            raise ValueError(
                f"the class folder {str(folder / name)!r} holds no images ({', '.join(SUFFIXES)})."
            )
    return found


def _is_class(path: Path) -> bool:
    """Tell folders of images from those that programs leave behind."""
    return path.is_dir() and not path.name.startswith((".", "@")) and path.name not in LEFTOVERS


def _skipped(folder: Path, found: dict[str, list[Path]]) -> str:
    """Say what lies in class folders and is not taken; nothing where all is."""
    suffixes: Counter[str] = Counter()
    broken = [p for name in found for p in (folder / name).iterdir() if _leads_nowhere(p)]
    beside = sum(map(_is_image, folder.iterdir()))
    nested = 0
    for name, taken in found.items():
        known = set(taken)
        for path in (folder / name).iterdir():
            if path.is_dir() and _is_class(path):
                nested += sum(map(_is_image, path.rglob("*")))
            elif path.is_file() and path not in known and not path.name.startswith("."):
                suffixes[path.suffix.lower() or "no suffix"] += 1
    parts = [f"{n} file{'s' * (n > 1)} with {suffix}" for suffix, n in sorted(suffixes.items())]
    for n, what, where in [
        (nested, "image", "in folders within class folders"),
        (beside, "image", "beside the class folders"),
        (len(broken), "link", "to files that are not there"),
    ]:
        parts += [f"{n} {what}{'s' * (n > 1)} {where}"] if n else []
    if not parts:
        return ""
    return f"skipped {', '.join(parts)}; {sum(map(len, found.values()))} images are taken."


def _leads_nowhere(path: Path) -> bool:
    """Tell a link to a file that is not there."""
    return path.is_symlink() and not path.exists()


def _is_image(path: Path) -> bool:
    """Tell image files by their suffix; hidden ones (``._a.jpg`` of macOS) are none."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def _is_whole(path: Path) -> bool:
    """Tell whether a file looks like an image, before any work; pixels are not decoded yet."""
    try:
        with Image.open(path) as image:
            mode = image.mode
            image.verify()
    except Image.DecompressionBombError as error:
        raise ValueError(f"{path} is too large an image to be read: {error}") from None
    except Exception:  # Pillow's readers raise what they like
        return False
    if mode in DEEP:  # Pillow would clip them: nearly all pixels white
        raise ValueError(f"{path} has more than 8 bits a channel; convert it to 8 bits.")
    return True


def decoded(path: Path) -> bool:
    """Tell whether all pixels of an image file can be read."""
    try:
        with Image.open(path) as image:
            image.load()
    except Exception:  # Pillow's readers raise what they like
        return False
    return True


def bad_images(paths: Sequence[Path]) -> ValueError:
    """Return the error that names files which cannot be read as images."""
    shown = ", ".join(map(str, paths[:NAMED]))
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    them = "it" if len(paths) == 1 else "them"
    return ValueError(
        f"{shown}{more} could not be read as {'an image' if len(paths) == 1 else 'images'}; "
        f"repair or remove {them}."
    )


def read_image(path: Path, size: tuple[int, int]) -> Array:
    """Return an image as RGB, shape (height, width, 3) uint8, resized bilinearly."""
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image)  # as the camera was held
            if upright.mode == "P":  # else Pillow warns of palettes with transparent colours
                upright = upright.convert("RGBA")
            return _resized(upright.convert("RGB"), size)
    except Exception:  # Pillow's readers raise what they like
        raise ValueError(
            f"{path} could not be read as an image, it may be cut short; repair or remove it."
        ) from None


def resize_images(x: Array, size: tuple[int, int]) -> Array:
    """Resize (n, height, width, 3) uint8 images bilinearly, one by one."""
    if x.shape[1:3] == size:
        return x
    return np.stack([_resized(Image.fromarray(one), size) for one in x])


def _resized(image: Image.Image, size: tuple[int, int]) -> Array:
    """Return an image's pixels at (height, width)."""
    return np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR))


def takes_grey(model: Any) -> bool:
    """Tell a model of grey images; ValueError for one that takes neither these nor RGB."""
    shape = model.inputs[0].shape
    if len(shape) == 4 and shape[-1] not in (1, 3, None):
        raise ValueError(
            f"model {model.name!r} takes images of {shape[-1]} channels; 1 and 3 are known."
        )
    return len(shape) == 4 and shape[-1] == 1


def as_taken(x: Array, model: Any) -> Array:
    """Return RGB images as a model takes them: as they are, or the mean of their channels."""
    return x.mean(axis=-1, keepdims=True, dtype=np.float32) if takes_grey(model) else x
