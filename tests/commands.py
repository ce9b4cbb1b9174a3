"""A command line, run in this process."""

from plie import cli


def typed(capsys, *words):
    """Exit code, stdout and stderr of a command line."""
    try:
        cli.main(words)
        code = 0
    except SystemExit as stop:
        code = stop.code or 0
    return code, *capsys.readouterr()
