"""Where ``plie`` starts, before its command line is loaded."""

from plie.interrupt import loading


def main() -> None:
    """Load the command line and run it."""
    with loading():
        from plie import cli
    cli.main()
