"""`python -m walvec`: the command line."""

from walvec.tools.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
