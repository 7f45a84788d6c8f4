"""Lets `python -m ot2deploy` be the program `ot2deploy`."""

from ot2deploy.cli import main

if __name__ == "__main__":
    main()
