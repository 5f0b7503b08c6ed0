"""Whether an error means that memory ran out, whoever noticed it."""


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether Python, torch's allocator on a processor (a `RuntimeError`) or one on a GPU ran out of memory."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))
    )
