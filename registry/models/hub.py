"""Weights from the Hugging Face hub: safetensors only, and an answer within two seconds when it is out of reach."""

from __future__ import annotations

import concurrent.futures
import errno
import functools
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import huggingface_hub
from huggingface_hub import errors as hub_errors
from safetensors import SafetensorError
from safetensors.torch import load_file

from ..base.errors import ModelUnavailable
from ..base.settings import settings
from .hub_cache import NotFetched, hub_cache

if TYPE_CHECKING:
    from torch import Tensor

SAFETENSORS, PICKLES = "model.safetensors", ("pytorch_model.bin", "open_clip_pytorch_model.bin")
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # of a disk, a quota, or a limit on files
INSTEAD = "The embedded models and weights 'random' need no hub."
logger = logging.getLogger("timmscope.hub")
T = TypeVar("T")


def fetch(name: str, repository: str | None) -> dict[str, Tensor]:
    """The state dict of a hub repository, from the local cache or downloaded.

    Args:
        name: Model name, for messages.
        repository: "owner/name", or None when timm knows no repository.

    Raises:
        ModelUnavailable: No repository, not found, only pickled weights, unreachable, or a damaged file; the text
            says which and what can be used instead.
    """
    if not repository:
        raise ModelUnavailable(f"{name}: timm names no hub repository with its weights. {INSTEAD}")
    path = hub_cache().find(repository, SAFETENSORS) or _download(name, repository)
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        # The hub's file is content addressed: removing it lets the next try download it afresh.
        logger.warning("damaged weights of %s: %s", name, error)
        Path(path).resolve().unlink(missing_ok=True)
        Path(path).unlink(missing_ok=True)
        raise ModelUnavailable(
            f"{name}: the weights file of {repository} is damaged and was removed; run again to download it afresh. "
            f"{INSTEAD}"
        ) from None


def download(repository: str, file: str, token: bool | None = None, **place: Any) -> str:
    """Path of a file of the hub in the local cache, after it was downloaded.

    Nobody waits longer than a run may take: a hub that sends a byte now and then would hold what waits for the file,
    and the room in memory that is kept for it, for ever.

    Args:
        repository: "owner/name".
        file: Its path in the repository.
        token: False for no token; else the operator's, where there is one.
        **place: `repo_type` and `revision`, as the hub's client knows them.

    Raises:
        NotFetched: It is too large, the disk is full, or it takes too long. It goes on then, so that a later try may
            find it done.
        Exception: What the hub's client raises, and a time-out where it cannot be reached.
    """
    patience = settings().hub_patience
    # One quick question first: the download itself would retry an unreachable hub for most of a minute.
    size = _ask(repository, file, token, **place)
    kept = hub_cache()

    def fetch() -> str:
        with kept.room(repository, size):
            return huggingface_hub.hf_hub_download(
                repository, file, cache_dir=kept.folder, token=token, etag_timeout=patience, **place
            )

    try:
        return patiently(fetch, settings().time_budget)
    except concurrent.futures.TimeoutError:
        raise NotFetched("comes slowly from the hub; try again later") from None
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise NotFetched("finds no room on the disk of this server; try again later") from error


def _download(name: str, repository: str) -> str:
    if not settings().hub:
        raise ModelUnavailable(
            f"{name}: its weights are on the hub, which is switched off here (TIMMSCOPE_HUB). {INSTEAD}"
        )
    try:
        return download(repository, SAFETENSORS)
    except hub_errors.EntryNotFoundError:
        if any(_exists(repository, file) for file in PICKLES):
            raise ModelUnavailable(
                f"{name}: {repository} has its weights only as a pickle, which can run code; safetensors are needed. "
                f"{INSTEAD}"
            ) from None
        raise ModelUnavailable(f"{name}: {repository} has no file {SAFETENSORS}. {INSTEAD}") from None
    except (hub_errors.RepositoryNotFoundError, hub_errors.GatedRepoError):
        raise ModelUnavailable(f"{name}: the hub has no open repository {repository}. {INSTEAD}") from None
    except NotFetched as error:
        raise ModelUnavailable(f"{name}: {SAFETENSORS} of {repository} {error}. {INSTEAD}") from None
    except Exception as error:  # httpx, OSError, TimeoutError, OfflineModeIsEnabled: all mean no file
        logger.info("hub: %s: %s", repository, error)
        raise ModelUnavailable(
            f"{name}: the Hugging Face hub cannot be reached, and its weights are not in the local cache. {INSTEAD}"
        ) from None


def _exists(repository: str, file: str) -> bool:
    try:
        _ask(repository, file)
        return True
    except Exception:  # whatever it is, the file cannot be had
        return False


def _ask(repository: str, file: str, token: bool | None = None, **place: str) -> int:
    """Ask the hub how large a file is, in bytes; the arguments are those of `download`."""
    patience, url = settings().hub_patience, huggingface_hub.hf_hub_url(repository, file, **place)
    ask = functools.partial(huggingface_hub.get_hf_file_metadata, url, token=token, timeout=patience)
    return patiently(ask, patience).size or 0


def patiently(question: Callable[[], T], patience: float) -> T:
    """The hub's answer to a question, or an exception when it takes longer than `patience`, in seconds.

    In a thread of its own, which is given up when the patience is: the client's timeout holds for each of several
    tries, and not for looking up the host.
    """
    answer: Future[T] = Future()

    def ask() -> None:
        try:
            answer.set_result(question())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=ask, daemon=True, name="timmscope-hub").start()
    return answer.result(patience)
