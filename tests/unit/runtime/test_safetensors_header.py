import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from hdrgen.runtime.safetensors_header import sort_metadata


def test_the_same_weights_make_the_same_bytes_whatever_the_order_of_their_metadata(tmp_path):
    weights = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(3, np.float16)}
    about = {f"key {n}": f'"{n}" \u00b5 \n' for n in range(8)}
    files = [tmp_path / f"{n}.safetensors" for n in range(4)]
    for path in files:
        save_file(weights, path, metadata=about)
        sort_metadata(path)
    assert len({path.read_bytes() for path in files}) == 1
    with safe_open(files[0], framework="np") as file:
        assert file.metadata() == about
        for name, tensor in weights.items():
            np.testing.assert_array_equal(file.get_tensor(name), tensor)
