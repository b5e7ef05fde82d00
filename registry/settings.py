"""What an operator can set, each through an environment variable `TIMMSCOPE_<NAME>`."""

from __future__ import annotations

import functools

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Limits and permissions of this process."""

    model_config = SettingsConfigDict(env_prefix="TIMMSCOPE_", frozen=True)

    device: str = Field(default="", description="Device of the models; empty for CUDA when there is one, else the CPU.")
    max_parameters: int = Field(default=400_000_000, gt=0, description="Largest model accepted, in parameters.")
    cache_bytes: int = Field(default=2 * 2**30, gt=0, description="Memory for loaded models, in bytes.")
    max_pixels: int = Field(default=40_000_000, gt=0, description="Largest photo accepted, in pixels.")
    hub: bool = Field(default=True, description="Whether weights may be fetched from the Hugging Face hub.")
    hub_patience: float = Field(default=1.5, gt=0, description="Seconds to wait for the hub's first answer.")
    time_budget: float = Field(default=300, gt=0, description="Longest run, in seconds.")
    parallel_runs: int = Field(default=2, gt=0, description="Runs at the same time; more wait in the queue.")
    queue_size: int = Field(default=32, gt=0, description="Runs that may wait; more are turned away.")
    upload_bytes: int = Field(default=25 * 2**20, gt=0, description="Largest upload, in bytes.")


@functools.cache
def settings() -> Settings:
    """The settings, read from the environment once."""
    return Settings()
