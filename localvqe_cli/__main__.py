"""``python -m localvqe_cli`` is ``localvqe``."""

from .cli import main

main()
