"""`python -m timmscope`."""

from . import main

main()
