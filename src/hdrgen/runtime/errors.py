"""The error a user can act on."""


class HdrgenError(Exception):
    """A failure whose message names the file or setting and the way out.

    The command line (exit code 2) and the stages (exit code 1) print the message as one line; anything else
    that escapes is a bug.
    """
