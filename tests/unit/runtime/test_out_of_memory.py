import pytest
import torch

from hdrgen.out_of_memory import is_out_of_memory


def test_torch_s_own_words_for_it_are_known():
    with pytest.raises(RuntimeError) as said:
        torch.empty(2**60)
    assert is_out_of_memory(said.value)
    assert is_out_of_memory(torch.OutOfMemoryError())
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("sizes do not match"))
