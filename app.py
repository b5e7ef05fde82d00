"""The Gradio app, built from the registry. It knows nothing of any single technique."""

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # before gradio is imported: it would look up two hosts
# Before torch is imported: threads that spin while they wait make two runs at once ten times slower than one by one.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's threads spin too, and what is heavy runs in torch

from pathlib import Path

ASSETS = Path(__file__).parent / "assets"


def main() -> None:
    """Build the page and serve it; host and port come from GRADIO_SERVER_NAME and GRADIO_SERVER_PORT."""
    from timmscope.registry import web

    web.serve(ASSETS / "style.css")


if __name__ == "__main__":
    main()
