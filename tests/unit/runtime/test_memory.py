import subprocess
import sys

import pytest
import torch

from hdrgen.runtime.memory import is_out_of_memory

TOUCH = """
import resource, sys
import numpy as np
from hdrgen.runtime.memory import keep_freed_memory
if sys.argv[1] == "kept" and not keep_freed_memory():
    sys.exit(7)
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
np.ones(100 << 20, np.uint8)
before = faults()
for _ in range(4):
    np.ones(100 << 20, np.uint8)
print(faults() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's malloc alone keeps what is freed")
def test_memory_that_was_freed_is_not_asked_for_again():
    def faults(how):
        done = subprocess.run([sys.executable, "-c", TOUCH, how], capture_output=True, text=True, check=False)
        if done.returncode == 7:
            pytest.skip("this C library is not glibc")
        return int(done.stdout)

    assert faults("kept") < 100
    assert faults("given back") > 100  # pages of 2 MiB at the largest


def test_torch_s_own_words_for_it_are_known():
    with pytest.raises(RuntimeError) as said:
        torch.empty(2**60)
    assert is_out_of_memory(said.value)
    assert is_out_of_memory(torch.OutOfMemoryError())
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("sizes do not match"))
