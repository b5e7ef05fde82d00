"""What an operator can set, each through an environment variable `TIMMSCOPE_<NAME>`."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from .names import readable


class Settings(BaseSettings):
    """Limits and permissions of this process."""

    model_config = SettingsConfigDict(env_prefix="TIMMSCOPE_", frozen=True)

    device: str = Field(default="", description="Device of the models; empty for CUDA when there is one, else the CPU.")
    max_parameters: int = Field(default=400_000_000, gt=0, description="Largest model accepted, in parameters.")
    activation_bytes: int = Field(
        default=6 * 2**30, gt=0, description="Memory for what one backward pass through a model keeps, in bytes."
    )
    cache_bytes: int = Field(default=2 * 2**30, gt=0, description="Memory for loaded models, in bytes.")
    max_pixels: int = Field(default=40_000_000, gt=0, description="Largest photo accepted, in pixels.")
    hub: bool = Field(default=True, description="Whether weights may be fetched from the Hugging Face hub.")
    hub_patience: float = Field(default=1.5, gt=0, description="Seconds to wait for the hub's first answer.")
    hub_bytes: int = Field(
        default=20 * 2**30,
        gt=0,
        description="Disk for files fetched from the hub, in bytes; the least recently used go.",
    )
    disabled_plugins: str = Field(default="", description="Names of plugins that are not loaded, with commas between.")
    time_budget: float = Field(default=300, gt=0, description="Longest run, in seconds.")
    parallel_runs: int = Field(default=2, gt=0, description="Light runs at the same time; more wait in their queue.")
    heavy_runs: int = Field(
        default=1, gt=0, description="Heavy runs at the same time, in a queue of their own; always 1 on a CUDA machine."
    )
    queue_size: int = Field(default=32, gt=0, description="Runs that may wait in each queue; more are turned away.")
    gpu_seconds: float = Field(default=120, gt=0, description="Most GPU time that a run asks of ZeroGPU, in seconds.")
    max_photos: int = Field(default=10_000, gt=0, description="Most photos of a set.")
    photo_folders: str = Field(default="", description="Folders of photos that anyone may use, as a PATH is written.")
    data_set_bytes: int = Field(default=2**30, gt=0, description="Most that is fetched of one hub data set, in bytes.")
    unpacked_bytes: int = Field(default=2**30, gt=0, description="Most that an uploaded zip may unpack to, in bytes.")
    cache_folder: str = Field(
        default="", description="Where files of the hub and indexes of photo sets are kept; empty: the user's cache."
    )
    index_bytes: int = Field(default=2**30, gt=0, description="Disk for indexes of photo sets, in bytes.")
    upload_bytes: int = Field(default=25 * 2**20, gt=0, description="Largest upload, in bytes.")
    temporary_bytes: int = Field(
        default=4 * 2**30, gt=0, description="Disk for uploads and results, in bytes; the oldest files go."
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="Lines of the log: text for people, or json with one object per line."
    )

    @property
    def cache_path(self) -> Path:
        """The folder of what is kept on disk beyond a run."""
        return Path(self.cache_folder or platformdirs.user_cache_dir("timmscope", appauthor=False))

    @functools.cached_property
    def folders(self) -> dict[str, Path]:
        """The folders of photos by name, which is all that users learn of them."""
        places = [Path(place) for place in self.photo_folders.split(os.pathsep) if place]
        return {readable(place.name): place for place in places}

    @field_validator("photo_folders")
    @classmethod
    def _names_differ(cls, value: str) -> str:
        names = [readable(Path(place).name) for place in value.split(os.pathsep) if place]
        if len(set(names)) < len(names) or "" in names:
            raise ValueError("every folder needs a name of its own")
        return value


@functools.cache
def settings() -> Settings:
    """The settings, read from the environment once."""
    return Settings()


def usable(folder: Path) -> bool:
    """Make a folder where it is missing, and tell whether this process can read and write it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return os.access(folder, os.R_OK | os.W_OK | os.X_OK)
    except OSError:
        return False
