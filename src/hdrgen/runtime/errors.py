"""The errors a user can act on."""


class HdrgenError(Exception):
    """A failure whose message names the file or setting and the way out.

    The command line (exit code 2) and the stages (exit code 1) print the message as one line; anything else
    that escapes is a bug.
    """


class MachineError(HdrgenError):
    """What the machine did and no file is to blame for: a full disk, no permission, a file that vanished.

    It is gone when the machine is mended, so it never becomes a property of a file.
    """
