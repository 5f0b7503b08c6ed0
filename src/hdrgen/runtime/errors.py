"""The error a user can act on."""


class HdrgenError(Exception):
    """A failure whose message names the file or setting and the way out.

    The command line and the stages print the message as one line and exit with 2; anything else that
    escapes is a bug and keeps its traceback.
    """
