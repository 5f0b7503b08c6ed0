import pytest

from hdrgen.flux.tiny import TinyNetwork, tiny_klein


@pytest.fixture(scope="session")
def klein_recipe():
    """Return the smallest sizes, a few prompts and their length."""
    network = TinyNetwork(
        vae_widths=(8, 8, 8, 8), text_width=32, vocabulary=400, double_blocks=1, single_blocks=1, heads=1
    )
    return network, ["night street", "a wet street at night, lit by sodium lamps", "sea at sunset"], 32


@pytest.fixture(scope="session")
def klein(klein_recipe):
    """Return a Klein of the smallest size, with random weights."""
    return tiny_klein(*klein_recipe, seed=3)


@pytest.fixture(scope="session")
def saved(klein, tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    klein.save_pretrained(folder)
    return folder
