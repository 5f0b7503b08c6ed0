import numpy as np
import pytest
import torch

from hdrgen.colour.encodings import ENCODINGS
from hdrgen.colour.tone_maps import quantise8
from hdrgen.exposure.bracket_tables import bracket_cells, encode_level16
from hdrgen.exposure.classical_merge import cell_intersection_merge
from hdrgen.exposure.tone_map_tables import level_decode
from hdrgen.inference import exposure_fusion
from hdrgen.metrics.quality import pu21_psnr
from hdrgen.models.exposure_fusion import (
    STRIDE,
    ExposureFusion,
    LuminanceStackProcessor,
    save_exposure_fusion,
)
from hdrgen.models.runtime_network import torch_threads
from hdrgen.models.weights import save_weights
from hdrgen.runtime.errors import HdrgenError

EVS = (-2.0, 0.0, 2.0, 4.0)
SMALL = ExposureFusion(exposure_width=4, widths=(8, 8, 8, 8, 8), heads=2, attention_window=5)


def merger(loudness=0.0, dtype=torch.float32):
    """Make a merger whose network says nothing, or nonsense as loudly as is wanted."""
    torch.manual_seed(0)
    net = LuminanceStackProcessor(SMALL)
    if loudness:
        torch.nn.init.normal_(net.leave.weight, std=loudness)
        torch.nn.init.normal_(net.attention.leave.weight, std=0.3)
    return exposure_fusion.StackMerger(net, "0" * 12, dtype)


def tables(evs=EVS, encoding="logc4_awg4", bits=8):
    return [bracket_cells(encoding, bits, ev, evs=tuple(sorted(evs))) for ev in evs]


def waves(height, width, median=0.18, stops=4.0):
    y, x = np.mgrid[:height, :width] / 96 * 2 * np.pi
    shape = [np.sin(1.3 * x + c) + np.sin(y - c) for c in range(3)]
    return (median * np.exp2(stops / 2 * np.stack(shape, -1))).astype(np.float32)


def brackets(light, evs=EVS, noise_codes=0.0, bits=8):
    rng, largest = np.random.default_rng(1), 2**bits - 1
    curve = ENCODINGS["logc4_awg4"]
    codes = [
        curve.encode(light * np.float32(2.0**ev)) + rng.normal(0, noise_codes / 255, light.shape)
        for ev in evs
    ]
    if bits == 8:
        return [quantise8(np.clip(code, 0, 1)) for code in codes]
    return [np.rint(np.clip(code, 0, 1) * largest).astype(np.uint16) for code in codes]


def merge(codes, evs=EVS, reference=1, net=None, **more):
    cells = more.pop("cells", None) or tables(evs)
    return (net or merger()).merge(codes, cells, evs, reference=reference, threads=1, **more)


@pytest.mark.parametrize("loudness", [0.0, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_clean_stack_is_as_good_as_the_intersection_of_its_cells(loudness, dtype):
    light = waves(96, 128)
    codes = brackets(light)
    found = merge(codes, net=merger(loudness, dtype))
    closed = pu21_psnr(cell_intersection_merge(codes, tables()), light)
    # A loud network may move each pixel by a quarter of its cell at most.
    assert pu21_psnr(found.linear, light) > closed - (0.1 if not loudness else 2.0)
    assert found.confidence.min() == 1


@pytest.mark.parametrize("loudness", [0.0, 1.0])
def test_peaks_above_one_picture_come_from_the_darkest_bracket(loudness):
    light = waves(96, 128)
    for number, peak in enumerate((500, 900, 1300, 1800)):
        light[10:40, 10 + 30 * number : 30 + 30 * number] = peak
    found = merge(brackets(light), net=merger(loudness)).linear
    lights = light > 400
    assert lights.sum() == 4 * 30 * 20 * 3
    np.testing.assert_allclose(found[lights], light[lights], rtol=0.1)


def test_where_all_is_clipped_there_is_no_confidence_and_at_least_the_darkest_says():
    light = waves(64, 96)
    light[16:48, 16:48] = 5000
    light[16:48, 60:90, 0] = 5000
    found = merge(brackets(light))
    bound = level_decode(tables()[0].lower[255])
    assert bound > 1700
    assert (found.linear[16:48, 16:48] >= 0.999 * bound).all()
    assert not found.confidence[16:48, 16:48].any()
    np.testing.assert_allclose(found.confidence[16:48, 60:90], 2 / 3)
    assert (found.confidence[:, :16] == 1).all()
    everywhere = merge([np.full((40, 50, 3), 255, np.uint8)] * 4)
    assert not everywhere.confidence.any()
    assert (everywhere.linear >= 0.999 * bound).all()
    assert np.isfinite(everywhere.linear).all()


def test_black_is_black_and_not_known():
    found = merge([np.zeros((40, 50, 3), np.uint8)] * 4)
    assert found.linear.max() < 1e-6
    assert not found.confidence.any()


def test_an_occluded_place_of_a_bracket_says_nothing():
    light = waves(64, 96)
    codes = brackets(light, noise_codes=3)
    occluded = [np.zeros((64, 96), bool) for _ in codes]
    occluded[3][20:40, 30:60] = True
    net = merger(0.5)
    before = merge(codes, net=net, occluded=occluded)
    codes[3] = codes[3].copy()
    codes[3][20:40, 30:60] = np.random.default_rng(3).integers(0, 256, (20, 30, 3))
    after = merge(codes, net=net, occluded=occluded)
    np.testing.assert_array_equal(after.linear, before.linear)
    np.testing.assert_array_equal(after.confidence, before.confidence)
    assert not np.array_equal(merge(codes, net=net).linear, before.linear)


def test_what_only_an_occluded_bracket_shows_is_not_known():
    light = waves(64, 96)
    light[20:40, 30:60] = 1000  # the darkest alone shows it
    occluded = [np.zeros((64, 96), bool) for _ in EVS]
    occluded[0][20:40, 30:60] = True
    found = merge(brackets(light, noise_codes=3), occluded=occluded)
    assert found.confidence[20:40, 30:60].max() < 1
    assert merge(brackets(light, noise_codes=3)).confidence[20:40, 30:60].min() == 1


@pytest.mark.parametrize("order", [(3, 1, 0, 2), (3, 2, 1, 0)])
def test_the_order_of_the_brackets_does_not_matter(order):
    codes = brackets(waves(64, 96), noise_codes=3)
    occluded = [np.random.default_rng(i).random((64, 96)) < 0.1 * (i != 1) for i in range(4)]
    net = merger(0.5)
    expected = merge(codes, net=net, occluded=occluded)
    found = merge(
        [codes[i] for i in order],
        [EVS[i] for i in order],
        reference=order.index(1),
        net=net,
        occluded=[occluded[i] for i in order],
    )
    np.testing.assert_array_equal(found.linear, expected.linear)
    np.testing.assert_array_equal(found.confidence, expected.confidence)


@pytest.mark.parametrize(
    "evs", [(-2.0, 2.0), (-2.0, 0.0, 2.0), EVS, tuple(range(-4, 5)), (-4.0, -2, 0, 2, 4)]
)
@pytest.mark.parametrize("noise_codes", [0, 3])
def test_two_to_nine_brackets(evs, noise_codes):
    light = waves(64, 96)
    found = merge(brackets(light, evs, noise_codes), evs, reference=len(evs) // 2)
    assert pu21_psnr(found.linear, light) > (50 if not noise_codes else 36)


def test_brackets_of_16_bits_and_of_floats_and_mixed_ones():
    light = waves(64, 96)
    sixteen = merge(brackets(light, bits=16), cells=tables(bits=16))
    assert pu21_psnr(sixteen.linear, light) > 80
    floats = [encode_level16(light * 2.0**ev) for ev in EVS]
    assert pu21_psnr(merge(floats, cells=tables(encoding="level16", bits=16)).linear, light) > 65
    mixed = [*brackets(light)[:2], *brackets(light, bits=16)[2:]]
    cells = [*tables()[:2], *tables(bits=16)[2:]]
    assert pu21_psnr(merge(mixed, cells=cells).linear, light) > 60


@pytest.mark.parametrize("size", [(1, 1), (7, 33), (32, 32), (65, 97)])
def test_any_size(size):
    codes = list(np.random.default_rng(0).integers(0, 256, (4, *size, 3), dtype=np.uint8))
    found = merge(codes, net=merger(0.5))
    assert found.linear.shape == (*size, 3)
    assert found.confidence.shape == size
    assert found.linear.dtype == found.confidence.dtype == np.float32
    assert np.isfinite(found.linear).all()
    assert (found.linear >= 0).all()
    assert found.linear.max() <= 65504


@pytest.mark.parametrize("tall", [False, True])
@pytest.mark.parametrize("noise_codes", [0, 3])
def test_tiles_leave_no_seam(monkeypatch, noise_codes, tall):
    light = waves(70, 1200)
    light = light.swapaxes(0, 1) if tall else light
    codes = brackets(light, noise_codes=noise_codes)
    occluded = [np.random.default_rng(i).random(light.shape[:2]) < 0.1 * (i != 1) for i in range(4)]
    net = merger(0.5)
    whole = merge(codes, net=net, occluded=occluded)
    monkeypatch.setattr(exposure_fusion.StackMerger, "TILE", (192, 192))
    tiled = merge(codes, net=net, occluded=occluded)
    np.testing.assert_allclose(np.log2(tiled.linear + 0.01), np.log2(whole.linear + 0.01), rtol=0, atol=1e-4)
    np.testing.assert_array_equal(tiled.confidence, whole.confidence)


def test_a_bracket_that_a_whole_tile_does_not_show_leaves_no_seam(monkeypatch):
    codes = brackets(waves(70, 1200), noise_codes=3)
    occluded = [np.zeros((70, 1200), bool) for _ in codes]
    occluded[3][:, 320:] = True
    net = merger(0.5)
    whole = merge(codes, net=net, occluded=occluded).linear
    monkeypatch.setattr(exposure_fusion.StackMerger, "TILE", (192, 192))
    tiled = merge(codes, net=net, occluded=occluded).linear
    np.testing.assert_allclose(np.log2(tiled + 0.01), np.log2(whole + 0.01), rtol=0, atol=1e-4)


@pytest.mark.parametrize("band", [32, 96])
def test_bands_leave_no_seam(monkeypatch, band):
    codes = brackets(waves(150, 90), noise_codes=3)
    net = merger(0.5)
    monkeypatch.setattr(exposure_fusion, "BAND", 160)
    whole = merge(codes, net=net).linear
    monkeypatch.setattr(exposure_fusion, "BAND", band)
    found = merge(codes, net=net).linear
    np.testing.assert_allclose(np.log2(found + 0.01), np.log2(whole + 0.01), rtol=0, atol=1e-5)


def test_the_sides_that_are_padded_for_the_network_do_not_come_out():
    codes = brackets(waves(70, 90), noise_codes=3)
    linear = merge(codes).linear
    assert linear.shape == (70, 90, 3)
    assert linear.flags.c_contiguous


def test_torch_is_left_with_the_threads_it_had():
    with torch_threads(3):
        merge(brackets(waves(40, 40)))
        assert torch.get_num_threads() == 3


@pytest.mark.parametrize("window", [1, 5, 7])
def test_the_halo_is_what_the_network_depends_on(window):
    torch.manual_seed(0)
    net = LuminanceStackProcessor(SMALL.model_copy(update={"attention_window": window}))
    for name, parameter in net.named_parameters():
        if "attention" not in name:
            torch.nn.init.uniform_(parameter, 0.01, 0.05)
    torch.nn.init.normal_(net.attention.leave.weight)
    halo = exposure_fusion.StackMerger(net, "")._halo
    assert not any(side % STRIDE for side in (halo, *exposure_fusion.StackMerger.TILE))
    level = torch.rand(1, 4, STRIDE, 2 * halo + 3 * STRIDE, 3, requires_grad=True)
    tile = slice(halo + STRIDE, halo + 2 * STRIDE)
    _, correction = net(level, torch.ones_like(level), torch.tensor([1]))
    correction[:, :, tile].sum().backward()
    columns = level.grad.abs().sum((0, 1, 2, 4)).nonzero()[:, 0]
    measured = max(tile.start - int(columns[0]), int(columns[-1]) - (tile.stop - 1))
    assert halo - STRIDE < measured <= halo


def test_one_exposure_is_no_stack():
    with pytest.raises(HdrgenError, match="two exposures or more with their EVs, not 1"):
        merge([np.zeros((8, 8, 3), np.uint8)], (0.0,), reference=0)
    with pytest.raises(HdrgenError, match="with their EVs"):
        merge([np.zeros((8, 8, 3), np.uint8)] * 3, cells=tables())


def test_exposures_of_different_size_get_one_clear_line():
    codes = [np.zeros((8, size, 3), np.uint8) for size in (8, 8, 9, 8)]
    with pytest.raises(HdrgenError, match="the exposures differ in size: 8x8, 8x8, 9x8, 8x8"):
        merge(codes)


@pytest.mark.filterwarnings("error")
def test_pictures_that_must_not_be_written_are_taken_and_left_as_they_are():
    codes = brackets(waves(64, 64), noise_codes=3)
    before = [code.copy() for code in codes]
    for code in codes:
        code.flags.writeable = False
    merge(codes, net=merger(0.5))
    for code, same in zip(codes, before, strict=True):
        np.testing.assert_array_equal(code, same)


def test_weights_come_back_with_their_digest(tmp_path):
    net = merger(0.5)
    save_exposure_fusion(tmp_path / "w.safetensors", net._net)
    again = exposure_fusion.StackMerger.load(tmp_path / "w.safetensors")
    assert len(again.digest) == 12
    again._dtype = torch.float32
    net._net.half().float()
    codes = brackets(waves(64, 64), noise_codes=3)
    np.testing.assert_array_equal(merge(codes, net=again).linear, merge(codes, net=net).linear)


@pytest.mark.parametrize("content", [None, b"", b"not weights at all"])
def test_what_is_no_safetensors_file_is_refused(tmp_path, content):
    path = tmp_path / "w.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(HdrgenError, match=r"w\.safetensors: no readable safetensors"):
        exposure_fusion.StackMerger.load(path)


def test_weights_of_another_model_are_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, torch.nn.Linear(1, 1), model="tone_fusion", settings={})
    with pytest.raises(HdrgenError, match="holds weights of 'tone_fusion', not of 'exposure_fusion'"):
        exposure_fusion.StackMerger.load(path)
