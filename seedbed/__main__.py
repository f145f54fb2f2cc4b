"""`python -m seedbed`, for where the command is not on the path."""

from seedbed.cli import main

if __name__ == "__main__":
    main(prog_name="seedbed")
