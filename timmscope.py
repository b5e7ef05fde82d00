"""timmscope: a microscope for vision networks. The public API in a checkout; `installed/` is its twin in the wheel."""

from registry import *  # noqa: F403
from registry import __all__, __getattr__, __version__, main  # noqa: F401

if __name__ == "__main__":
    main()
