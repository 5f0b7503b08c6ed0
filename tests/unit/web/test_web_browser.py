"""The page in a real browser, before a real server: what an artist does there, and what goes wrong."""

import io
import re
import shutil
import signal

import numpy as np
import pytest
from PIL import Image
from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from hdrgen.colour.primaries import luminance_weights
from hdrgen.images.code_image import write_code
from hdrgen.images.exr import read_exr
from hdrgen.qc.preview import linear_ap1, preview_code8

PATIENCE_S = 300
"""Enough for a machine that is busy with other things."""
MINUS = "\N{MINUS SIGN}"


@pytest.fixture(scope="module")
def server(start_server, models):
    return start_server(models)


@pytest.fixture(scope="module")
def chromium():
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("no browser: apt-get install chromium chromium-driver")
    return shutil.which("chromium"), shutil.which("chromedriver")


def opened(chromium, folder, size, **emulated):
    options = webdriver.ChromeOptions()
    options.binary_location = chromium[0]
    for flag in ("headless", "no-sandbox", "disable-quic", "no-first-run", "disable-background-networking"):
        options.add_argument(f"--{flag}")
    for flag in (
        "disable-component-update",
        "disable-sync",
        "use-angle=swiftshader",
        "enable-unsafe-swiftshader",
    ):
        options.add_argument(f"--{flag}")
    options.add_argument(f"--user-data-dir={folder}")
    options.add_argument(f"--window-size={size}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if emulated:
        options.add_experimental_option("mobileEmulation", {"deviceMetrics": emulated})
    return webdriver.Chrome(options=options, service=Service(chromium[1]))


class Page:
    """What a person sees and does."""

    def __init__(self, driver, server):
        self.driver, self.server = driver, server
        driver.get(server.address)

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector):
        """Return the first one's text; at once, because news may put another element in its place."""
        return self.driver.execute_script(
            "return document.querySelector(arguments[0])?.innerText.trim() ?? null", selector
        )

    def open(self, title):
        self.until(lambda: self.find(f"#pictures .done[title='{title}']").click() or True)
        self.until(lambda: self.shows(title))

    def until(self, condition, seconds=PATIENCE_S):
        passing = [NoSuchElementException, StaleElementReferenceException]  # news puts others in their place
        wait = WebDriverWait(self.driver, seconds, poll_frequency=0.05, ignored_exceptions=passing)
        return wait.until(lambda _: condition())

    def fill(self, selector, text):
        field = self.find(selector)
        field.clear()
        field.send_keys(str(text))

    def generate(self, prompt, steps):
        self.find("#tab-generate").click()
        self.driver.execute_script("document.querySelector('#form-generate details').open = true")
        self.fill("[name=prompt]", prompt)
        Select(self.find("[name=route]")).select_by_value("dual")
        self.fill("[name=steps]", steps)
        self.until(lambda: self.find("#form-generate .primary").is_enabled())
        self.find("#form-generate .primary").click()

    def upload(self, form, *paths):
        self.find(f"#tab-{form}").click()
        self.find(f"#form-{form} [name=files]").send_keys("\n".join(map(str, paths)))
        self.find(f"#form-{form} .primary").click()

    def drop(self, path):
        """Drop a picture on the page, as from a folder."""
        self.driver.execute_script(
            "const [name, data] = arguments, files = new DataTransfer();"
            "files.items.add(new File([Uint8Array.from(data)], name, {type: 'image/png'}));"
            "document.dispatchEvent(new DragEvent('drop', {dataTransfer: files, bubbles: true, cancelable: true}))",
            path.name,
            list(path.read_bytes()),
        )

    def shows(self, title):
        """Tell whether a picture of this title is in the viewer."""
        return self.text("#title") == title and self.find("#empty").get_attribute("hidden") is not None

    def expose(self, stops):
        self.driver.execute_script(
            "const e = document.querySelector('#exposure'); e.value = arguments[0]; e.dispatchEvent(new Event('input'))",
            stops,
        )

    def canvas_codes(self, width, height):
        """Return what the screen shows of each of a small picture's pixels, from its middle."""
        self.driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
        shot = np.array(Image.open(io.BytesIO(self.find("#canvas").screenshot_as_png)).convert("RGB"))
        scale = min(shot.shape[1] // width, shot.shape[0] // height)
        top, left = (shot.shape[0] - height * scale) // 2, (shot.shape[1] - width * scale) // 2
        rows, columns = np.arange(height) * scale + scale // 4, np.arange(width) * scale + scale // 4
        return shot[top + rows][:, left + columns].astype(int)

    def hover(self, x, y, width, height):
        """Move the pointer to the middle of one of a small picture's pixels."""
        box = self.find("#canvas").size
        scale = min(box["width"] // width, box["height"] // height)
        place = (round((x + 0.5 - width / 2) * scale), round((y + 0.5 - height / 2) * scale))
        ActionChains(self.driver).move_to_element_with_offset(self.find("#canvas"), *place).perform()

    def exr(self):
        name = re.search(r"pictures/([^/]+)/exr", self.find("#download-exr").get_attribute("href"))[1]
        return read_exr(self.server.folder / name / "picture.exr")


@pytest.fixture(scope="module")
def page(chromium, server, tmp_path_factory):
    driver = opened(chromium, tmp_path_factory.mktemp("profile"), "1400,900")
    yield Page(driver, server)
    said = [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
    driver.quit()
    # A browser says by itself what a server refuses, and that it is gone; nothing else may go wrong.
    assert [e for e in said if "Failed to load resource" not in e["message"]] == []


@pytest.fixture(scope="module")
def plate(tmp_path_factory):
    """Return a 16-bit LogC4 picture, 6 x 4, from black to far above 1."""
    random = np.random.default_rng(5)
    path = tmp_path_factory.mktemp("plate") / "plate_16.png"
    codes = random.uniform(0.1, 0.75, (4, 6, 1)) + random.normal(0, 0.02, (4, 6, 3))
    write_code(path, (codes * 65535).astype(np.uint16), text={"hdrgen:encoding": "logc4"})
    return path


def test_words_become_a_picture(page):
    page.generate("night street", 3)
    page.until(lambda: page.shows("night street"))
    assert page.exr().attributes["hdrgenPrompt"] == "night street"
    assert page.text("#numbers").startswith("Size\n32 \N{MULTIPLICATION SIGN} 32")
    assert page.find("#histogram .bar")
    assert page.find("#pictures [aria-current=true] .name").text == "night street"


def test_the_viewer_shows_what_preview_writes_at_every_exposure(page, plate):
    page.upload("picture", plate)
    page.until(lambda: page.shows("plate_16.png"))
    linear = linear_ap1(page.exr())
    for stops in (0, -8, -3.5, 4, 8):
        page.expose(stops)
        assert page.text("#exposure-value").replace(MINUS, "-") == (f"{stops:+.1f}" if stops else "0.0")
        expected = preview_code8(linear, exposure_stops=stops).astype(int)
        np.testing.assert_allclose(page.canvas_codes(6, 4), expected, atol=3, err_msg=f"{stops} stops")
    slider = page.find("#exposure")
    slider.send_keys(Keys.HOME)
    assert page.text("#exposure-value") == f"{MINUS}8.0"
    page.find("#canvas").send_keys("\\")
    page.find("#canvas").send_keys("]")
    assert page.text("#exposure-value") == "+0.5"
    page.expose(0)


def test_the_probe_reads_the_exrs_own_values(page, plate):
    page.until(lambda: page.shows(plate.name))
    image = page.exr()
    weights = luminance_weights(image.chromaticities)
    for x, y in ((0, 0), (5, 3), (2, 1)):
        page.hover(x, y, 6, 4)
        page.until(lambda x=x, y=y: page.text("#probe-place") == f"{x}, {y}", 5)
        shown = [float(page.text(f"#probe-{name}")) for name in "rgby"]
        rgb = image.rgb[y, x].astype(np.float64)
        np.testing.assert_allclose(shown, [*rgb, rgb @ weights], rtol=6e-4)
        stops = float(page.text("#probe-stops").replace(MINUS, "-"))
        assert stops == pytest.approx(np.log2(rgb @ weights / 0.18), abs=0.051)
    page.find("#canvas").click()
    page.find("#canvas").send_keys(Keys.ARROW_LEFT, Keys.SHIFT + Keys.ARROW_LEFT)
    page.until(lambda: "pinned" in page.text("#probe-place"), 5)
    assert page.text("#probe-place").startswith("0, ")


def test_before_has_no_light_above_its_white_and_after_has(page, plate):
    page.until(lambda: page.shows(plate.name))
    page.expose(-4)
    Select(page.find("#compare")).select_by_value("eight")
    page.find("#wipe").send_keys(Keys.END)
    before = page.canvas_codes(6, 4)
    page.find("#wipe").send_keys(Keys.HOME)
    after = page.canvas_codes(6, 4)
    np.testing.assert_allclose(after, preview_code8(linear_ap1(page.exr()), exposure_stops=-4), atol=3)
    assert after.max() > before.max() + 40
    page.find("#canvas").send_keys("b")
    assert not page.find("#wipe").is_displayed()
    page.find("#canvas").send_keys("v", "v")
    assert page.find("#legend").is_displayed()
    assert len({tuple(code) for code in page.canvas_codes(6, 4).reshape(-1, 3)}) > 3
    page.find("#canvas").send_keys("v")
    page.expose(0)


def test_a_dropped_picture_is_recovered_and_a_plate_expanded(page, tmp_path):
    lamp = tmp_path / "lamp.png"
    codes = np.full((4, 6, 3), 90, np.uint8)
    codes[1, 2] = 255
    write_code(lamp, codes)
    page.find("#tab-generate").click()
    page.drop(lamp)
    assert page.find("#form-picture .chosen").text == lamp.name
    assert page.find("#form-picture .primary").text == "Recover"
    page.find("#form-picture details summary").click()
    page.fill("#form-picture [name=anchor]", 2)
    page.find("#form-picture .primary").click()
    page.until(lambda: page.shows(lamp.name))
    image = page.exr()
    assert image.attributes["hdrgenRoute"] == "recover"
    assert image.attributes["hdrgenWhiteLinear"] == pytest.approx(2)
    page.fill("#form-picture [name=exposure]", 1)
    page.find("#form-picture .primary").click()
    page.until(lambda: (page.text("#form-picture .error") or "").startswith("anchor: says where white lands"))
    for name in ("anchor", "exposure"):
        page.find(f"#form-picture [name={name}]").clear()
    Select(page.find("#form-picture [name=encoding]")).select_by_value("logc4")
    assert page.find("#form-picture .primary").text == "Expand"
    assert not page.find("#form-picture [name=anchor]").is_displayed()
    page.find("#form-picture .primary").click()
    page.until(
        lambda: len(page.driver.find_elements(By.CSS_SELECTOR, f"#pictures .done[title='{lamp.name}']")) == 2
    )
    page.until(lambda: page.exr().attributes["hdrgenRoute"] == "expand")
    Select(page.find("#form-picture [name=encoding]")).select_by_value("")


def test_a_bad_file_is_refused_in_words(page, tmp_path):
    bad = tmp_path / "notes.png"
    bad.write_text("not a picture")
    page.upload("picture", bad)
    error = "#form-picture .error"
    page.until(lambda: page.text(error) == "notes.png: is not a PNG, TIFF, JPEG or WebP picture")
    damaged = tmp_path / "damaged.png"
    write_code(damaged, np.zeros((8, 8, 3), np.uint8))
    damaged.write_bytes(damaged.read_bytes()[:-20])
    page.upload("picture", damaged)
    page.until(lambda: (page.text("#empty") or "").startswith("It failed: damaged.png: is a truncated PNG"))


def test_a_job_is_cancelled_between_steps(page):
    page.generate("sea at sunset", 1000)
    page.until(lambda: re.match(r"Denoising [1-9]\d*/1000", page.text("#jobs .phase") or ""))
    progress = page.find("#jobs progress")
    assert 0 < progress.get_property("value") < 1000
    page.find("#jobs button").click()
    page.until(lambda: not page.driver.find_elements(By.CSS_SELECTOR, "#jobs li"), 30)
    page.until(lambda: page.text("#pictures .state") == "cancelled")


def test_a_restart_in_the_middle_loses_nothing_that_was_there(page, plate):
    page.generate("a fire", 1000)
    page.until(lambda: "Denoising" in (page.text("#jobs .phase") or ""))
    page.server.end(signal.SIGKILL)
    page.until(lambda: page.text("#server") == "The server does not answer; trying again")
    page.server.start()
    page.until(lambda: page.text("#server") == "")
    page.until(lambda: page.text("#pictures .state") == "interrupted")
    page.open(plate.name)
    page.open("night street")
    page.find("#reuse").click()
    assert page.find("[name=prompt]").get_property("value") == "night street"
    page.find("#form-generate .primary").click()
    page.until(
        lambda: len(page.driver.find_elements(By.CSS_SELECTOR, "#pictures .done[title='night street']")) == 2
    )


def test_the_keyboard_reaches_everything_and_shows_where_it_is(page):
    page.open("night street")
    page.driver.execute_script("document.activeElement.blur(); window.scrollTo(0, 0)")
    reached = set()
    for _ in range(60):
        ActionChains(page.driver).send_keys(Keys.TAB).perform()
        name, outlined = page.driver.execute_script(
            "const a = document.activeElement, s = getComputedStyle(a), t = getComputedStyle(a, '::after');"
            "return [a.id || a.name || a.className,"
            " a === document.body || s.outlineStyle !== 'none' || t.outlineStyle !== 'none']"
        )
        reached.add(name)
        assert outlined, name
    wanted = {
        "tab-generate",
        "prompt",
        "route",
        "width",
        "height",
        "seed",
        "dice",
        "canvas",
        "exposure",
        "view",
    }
    assert (
        wanted | {"compare", "fit", "pixels", "download-exr", "download-preview", "reuse", "remove"}
        <= reached
    )


def test_a_phone_shows_it_all(chromium, server, plate, tmp_path):
    driver = opened(
        chromium, tmp_path, "390,844", width=390, height=844, pixelRatio=2, touch=True, mobile=True
    )
    try:
        phone = Page(driver, server)
        phone.upload("picture", plate)
        phone.until(lambda: phone.shows(plate.name))
        assert driver.execute_script("return document.documentElement.scrollWidth") == 390
        for selector in ("#exposure", "#download-exr", "#form-picture .primary", "#histogram svg"):
            box = phone.find(selector).rect
            assert box["width"] > 40, selector
            assert 0 <= box["x"] <= box["x"] + box["width"] <= 390, selector
    finally:
        driver.quit()
