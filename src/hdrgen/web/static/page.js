// The page: forms make jobs, jobs make pictures, pictures go to the viewer.

import { FormPanel } from "./forms.js";
import { Histogram } from "./histogram.js";
import { FALSE_COLOURS, FALSE_LOWEST, linearText, luminance, stopsFromGrey, stopsText } from "./light.js";
import * as server from "./server.js";
import { Viewer } from "./viewer.js";

const $ = (id) => document.getElementById(id);
const EXPOSURE_STEP = 0.5;

let shown = null; // the record in the viewer
let listed = []; // the history, newest first
let pinned = null; // the probed pixel that stays
let hovered = null;
let loading = null; // aborts the picture on its way

// ---- the viewer and what lies over it

const histogram = new Histogram($("histogram"));
let viewer = null;
try {
  viewer = new Viewer($("canvas"), followViewer);
} catch (error) {
  $("empty").textContent = error.message;
}

function followViewer() {
  if (!viewer) return;
  $("zoom-value").textContent = viewer.picture ? `${Math.round(viewer.scale * 100)} %` : "";
  const place = pinned && viewer.picture ? viewer.placeOf(pinned) : null;
  $("mark").hidden = !place;
  if (place) $("mark").style.translate = `${place.x}px ${place.y}px`;
  $("wipe").style.left = `${viewer.split * 100}%`;
}

function setExposure(stops) {
  const value = Math.max(-8, Math.min(8, Math.round(stops * 10) / 10));
  $("exposure").value = value;
  $("exposure-value").textContent = stopsText(value);
  if (viewer) {
    viewer.exposure = value;
    viewer.draw();
  }
  histogram.follow(value, histogram.probe);
  if (shown) $("download-preview").href = `/api/pictures/${shown.id}/preview?exposure=${value}`;
}

function setView(mode) {
  $("view").value = mode;
  $("legend").hidden = mode !== "false";
  viewer.mode = mode;
  viewer.draw();
}

function setCompare(compare) {
  $("compare").value = compare;
  $("wipe").hidden = compare === "none";
  const names = { eight: "8-bit sRGB", before: shown?.picture?.before ?? "before" };
  $("wipe").querySelector(".left").textContent = names[compare] ?? "";
  viewer.compare = compare;
  viewer.draw();
}

function setSplit(split) {
  viewer.split = Math.max(0, Math.min(1, split));
  $("wipe").setAttribute("aria-valuenow", Math.round(viewer.split * 100));
  followViewer();
  viewer.draw();
}

function toggleBefore() {
  if ($("compare").value !== "none") return setCompare("none");
  setCompare(shown?.picture?.before ? "before" : "eight");
}

for (const [i, colour] of FALSE_COLOURS.entries()) {
  const item = document.createElement("li");
  const stops = FALSE_LOWEST + i;
  item.style.setProperty("--colour", colour);
  item.textContent = stops > 0 ? `+${stops}` : `${stops}`.replace("-", "−");
  $("legend").append(item);
}

$("exposure").addEventListener("input", (event) => setExposure(Number(event.target.value)));
$("exposure-reset").addEventListener("click", () => setExposure(0));

if (viewer) {
  $("view").addEventListener("change", (event) => setView(event.target.value));
  $("compare").addEventListener("change", (event) => setCompare(event.target.value));
  $("fit").addEventListener("click", () => viewer.fit());
  $("pixels").addEventListener("click", () => viewer.zoomTo(1));
  setCompare("none");
  listenToCanvas($("canvas"));
  listenToWipe($("wipe"));
  server.view().then(
    (cube) => {
      viewer.setView(cube);
      $("view").options[0].textContent = cube.name.split(" / ")[0];
      $("view").title = cube.name;
    },
    (error) => say(error.message),
  );
}

function listenToCanvas(canvas) {
  const touches = new Map();
  let moved = false;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    touches.set(event.pointerId, event);
    moved = false;
  });
  canvas.addEventListener("pointermove", (event) => {
    const last = touches.get(event.pointerId);
    if (!last) {
      hovered = viewer.pixelAt(event.offsetX, event.offsetY);
      return probe();
    }
    if (touches.size === 2) pinch(event, last);
    else if (moved || Math.hypot(event.clientX - last.clientX, event.clientY - last.clientY) > 3) {
      moved = true;
      viewer.pan((event.clientX - last.clientX) * viewer.density, (event.clientY - last.clientY) * viewer.density);
    } else return;
    touches.set(event.pointerId, event);
  });
  function pinch(event, last) {
    const [other] = [...touches.values()].filter((touch) => touch.pointerId !== event.pointerId);
    const apart = (a) => Math.hypot(a.clientX - other.clientX, a.clientY - other.clientY);
    const box = canvas.getBoundingClientRect();
    const x = ((event.clientX + other.clientX) / 2 - box.left) * viewer.density;
    const y = ((event.clientY + other.clientY) / 2 - box.top) * viewer.density;
    moved = true;
    viewer.zoomTo((viewer.scale * apart(event)) / Math.max(1, apart(last)), x, y);
  }
  const up = (event) => {
    if (touches.delete(event.pointerId) && !moved && event.type === "pointerup") {
      pin(viewer.pixelAt(event.offsetX, event.offsetY));
    }
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
  canvas.addEventListener("pointerleave", () => {
    hovered = null;
    probe();
  });
  canvas.addEventListener("wheel", (event) => {
    if (!viewer.picture) return;
    event.preventDefault();
    const factor = 2 ** (-event.deltaY / (event.deltaMode === 1 ? 6 : 240));
    viewer.zoomTo(viewer.scale * factor, event.offsetX * viewer.density, event.offsetY * viewer.density);
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!way || !viewer.picture) return;
    event.preventDefault();
    const { width, height } = viewer.picture;
    const from = pinned ?? { x: width >> 1, y: height >> 1 };
    const by = event.shiftKey ? 10 : 1;
    pin({
      x: Math.max(0, Math.min(width - 1, from.x + way[0] * by)),
      y: Math.max(0, Math.min(height - 1, from.y + way[1] * by)),
    });
    $("probe-said").textContent = `${pinned.x}, ${pinned.y}: ${["r", "g", "b"].map((c) => $(`probe-${c}`).textContent).join(", ")}`;
  });
}

function listenToWipe(wipe) {
  wipe.addEventListener("pointerdown", (event) => wipe.setPointerCapture(event.pointerId));
  wipe.addEventListener("pointermove", (event) => {
    if (!wipe.hasPointerCapture(event.pointerId)) return;
    const box = $("stage").getBoundingClientRect();
    setSplit((event.clientX - box.left) / box.width);
  });
  wipe.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -0.02, ArrowRight: 0.02, Home: -1, End: 1 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    setSplit(viewer.split + by);
  });
  setSplit(0.5);
}

// ---- the probe

function pin(pixel) {
  pinned = pixel;
  hovered = null;
  probe();
  followViewer();
}

function probe() {
  const pixel = hovered ?? pinned;
  const fields = ["r", "g", "b", "y", "stops"].map((name) => $(`probe-${name}`));
  if (!pixel || !viewer?.picture) {
    $("probe-place").textContent = "";
    for (const field of fields) field.textContent = "–";
    return histogram.follow(histogram.exposure, NaN);
  }
  const rgb = viewer.linearAt(pixel);
  const y = luminance(...rgb);
  const stops = stopsFromGrey(y);
  $("probe-place").textContent = `${pixel.x}, ${pixel.y}${hovered ? "" : " pinned"}`;
  for (const [i, text] of [...rgb, y].map(linearText).entries()) fields[i].textContent = text;
  fields[4].textContent = stopsText(stops);
  histogram.follow(histogram.exposure, stops);
}

// ---- a picture is opened

async function open(id) {
  loading?.abort();
  loading = new AbortController();
  const { signal } = loading;
  try {
    const record = await server.picture(id);
    if (signal.aborted) return;
    history.replaceState(null, "", `#${id}`);
    shown = record;
    showAbout(record);
    markShown();
    if (!record.picture) {
      viewer?.show(null);
      histogram.clear();
      $("empty").textContent = record.message ? `${stateWords(record.state)}: ${record.message}` : stateWords(record.state);
      $("empty").hidden = false;
      return pin(null);
    }
    histogram.show(record.picture.histogram);
    if (viewer) await fill(record, signal);
  } catch (error) {
    if (error.name === "AbortError") return;
    $("loading").hidden = true;
    say(error.message);
  }
}

async function fill(record, signal) {
  const { width, height, before } = record.picture;
  const late = setTimeout(() => {
    $("loading").textContent = "Loading the pixels";
    $("loading").hidden = false;
  }, 150);
  try {
    const wanted = [server.halves(record.id, "pixels", signal)];
    if (before) wanted.push(server.halves(record.id, "before", signal));
    const [rgb, rgbBefore] = await Promise.all(wanted);
    viewer.show({ width, height, rgb, before: rgbBefore ?? null });
  } finally {
    clearTimeout(late);
    $("loading").hidden = true;
  }
  $("empty").hidden = true;
  const source = $("compare").querySelector("[value=before]");
  source.disabled = !before;
  source.textContent = before ? `Source, ${before}` : "Source";
  setCompare(!before && $("compare").value === "before" ? "eight" : $("compare").value);
  pin(null);
  setExposure(viewer.exposure);
}

function stateWords(state) {
  return { failed: "It failed", cancelled: "It was cancelled", interrupted: "It was interrupted" }[state] ?? state;
}

function row(term, text) {
  const line = document.createElement("div");
  const dt = document.createElement("dt");
  const dd = document.createElement("dd");
  dt.textContent = term;
  dd.textContent = text;
  line.append(dt, dd);
  return line;
}

function percent(share) {
  if (share === 0) return "none";
  return share < 0.0001 ? "< 0.01 %" : `${(share * 100).toPrecision(3)} %`;
}

function showAbout(record) {
  const { picture } = record;
  $("title").textContent = record.title;
  document.title = `${record.title} – hdrgen`;
  $("about").hidden = false;
  for (const id of ["download-exr", "download-preview"]) $(id).hidden = !picture;
  $("download-exr").href = `/api/pictures/${record.id}/exr`;
  $("download-preview").href = `/api/pictures/${record.id}/preview?exposure=${$("exposure").value}`;
  $("reuse").textContent = picture || record.job.kind === "generate" ? "Use its settings" : "Try again";
  $("reuse").hidden = Boolean(picture) && record.job.kind !== "generate";
  $("space").textContent = picture?.space ?? "ACEScg";
  $("numbers").replaceChildren(
    ...(picture
      ? [
          row("Size", `${picture.width} × ${picture.height}`),
          row("Brightest", linearText(picture.maximum_linear)),
          row("Darkest", linearText(picture.minimum_linear)),
          row("Range", `${picture.stops.toFixed(1)} stops`),
          row("Above 1.0", percent(picture.above_one_share)),
          row("At the ceiling", percent(picture.ceiling_share)),
          row("Made in", `${record.seconds.toFixed(1)} s`),
        ]
      : []),
  );
  $("notes").replaceChildren(...(picture?.notes ?? []).map((note) => Object.assign(document.createElement("li"), { textContent: note })));
  const facts = Object.entries(picture?.facts ?? {}).sort();
  $("facts").replaceChildren(...facts.map(([name, value]) => row(name.replace(/^hdrgen/, ""), String(value))));
  $("facts").parentElement.hidden = !facts.length;
}

$("reuse").addEventListener("click", async () => {
  if (shown.job.kind === "generate") return forms.take(shown.job);
  try {
    await server.again(shown.id);
  } catch (error) {
    say(error.message);
  }
});
$("remove").addEventListener("click", () => $("sure").showModal());
$("sure").addEventListener("close", async () => {
  if ($("sure").returnValue !== "yes" || !shown) return;
  $("sure").returnValue = "";
  const at = listed.findIndex((one) => one.id === shown.id);
  const next = listed[at + 1] ?? listed[at - 1];
  try {
    await server.remove(shown.id);
  } catch (error) {
    return say(error.message);
  }
  listed = listed.filter((one) => one.id !== shown.id);
  showHistory();
  if (next) return open(next.id);
  shown = null;
  viewer?.show(null);
  histogram.clear();
  $("about").hidden = true;
  $("title").textContent = "";
  $("empty").hidden = false;
});

// ---- jobs and history

const forms = new FormPanel(server, (job) => {
  awaited = job.id;
});
let awaited = null; // the job whose picture is opened when it is there

function showJobs(jobs) {
  // Each stays the same element for as long as its job is there, so that the focus does.
  const host = $("jobs");
  const known = new Map([...host.children].map((item) => [item.dataset.id, item]));
  for (const job of jobs) {
    const item = known.get(job.id) ?? host.appendChild(newJob(job));
    known.delete(job.id);
    item.querySelector(".phase").textContent = job.total ? `${job.phase} ${job.done}/${job.total}` : job.phase;
    const bar = item.querySelector("progress");
    if (job.total) {
      bar.max = job.total;
      bar.value = job.done;
    } else bar.removeAttribute("value");
    bar.hidden = job.state !== "running";
    item.querySelector("button").disabled = job.phase === "Cancelling";
  }
  for (const over of known.values()) over.remove();
}

function newJob(job) {
  const item = document.createElement("li");
  item.dataset.id = job.id;
  const title = Object.assign(document.createElement("span"), { className: "name", textContent: job.title, title: job.title });
  const phase = Object.assign(document.createElement("span"), { className: "phase" });
  const bar = document.createElement("progress");
  bar.setAttribute("aria-label", `Progress of ${job.title}`);
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: "Cancel" });
  button.setAttribute("aria-label", `Cancel ${job.title}`);
  button.addEventListener("click", () => server.cancel(job.id).catch((error) => error.status === 409 || say(error.message)));
  item.append(title, phase, bar, button);
  return item;
}

function showHistory() {
  const host = $("pictures");
  const focused = document.activeElement?.closest?.("#pictures button")?.dataset.id;
  host.replaceChildren(...listed.map((one) => {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.id = one.id;
    button.title = one.title;
    button.className = one.state;
    if (one.state === "done") {
      const thumbnail = Object.assign(new Image(), { src: `/api/pictures/${one.id}/thumbnail`, alt: "", loading: "lazy" });
      button.append(thumbnail);
    } else button.append(Object.assign(document.createElement("span"), { className: "state", textContent: one.state }));
    button.append(Object.assign(document.createElement("span"), { className: "name", textContent: one.title }));
    button.addEventListener("click", () => open(one.id));
    const item = document.createElement("li");
    item.append(button);
    return item;
  }));
  markShown();
  if (focused) host.querySelector(`[data-id="${focused}"]`)?.focus();
}

function markShown() {
  for (const button of $("pictures").querySelectorAll("button")) {
    if (button.dataset.id === shown?.id) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
}

let allListed = false;

async function readHistory() {
  const newest = await server.pictures();
  const oldest = newest.at(-1);
  const rest = oldest ? listed.slice(listed.findIndex((one) => one.id === oldest.id) + 1 || listed.length) : [];
  const states = (some) => some.map((one) => `${one.id} ${one.state}`).join();
  const before = states(listed);
  listed = [...newest, ...rest];
  $("more").hidden = allListed || listed.length < 60;
  if (states(listed) !== before) showHistory();
}

$("more").addEventListener("click", async () => {
  const older = await server.pictures(listed.at(-1).id).catch((error) => (say(error.message), []));
  listed = [...listed, ...older];
  showHistory();
  allListed = older.length < 60;
  $("more").hidden = allListed;
});

function say(text) {
  $("server").textContent = text;
  $("server").classList.toggle("bad", Boolean(text));
}

/** Ask for the state for as long as the page is seen; the server answers when there is something new. */
async function watch() {
  let revision = null;
  let active = "";
  for (;;) {
    if (document.hidden) await new Promise((seen) => document.addEventListener("visibilitychange", seen, { once: true }));
    try {
      const news = await server.state(revision);
      if ($("server").dataset.lost) {
        delete $("server").dataset.lost;
        say("");
        forms.readConfig();
      }
      revision = news.revision;
      showJobs(news.jobs);
      const now = news.jobs.map((job) => job.id).join();
      if (now !== active || !now) await readHistory();
      active = now;
      await openAwaited();
    } catch (error) {
      $("server").dataset.lost = "yes";
      say("The server does not answer; trying again");
      revision = null;
      await new Promise((done) => setTimeout(done, 1000));
    }
  }
}

let missing = null;

async function openAwaited() {
  const wanted = awaited ?? (shown || !location.hash ? null : location.hash.slice(1));
  if (listed.some((one) => one.id === wanted)) {
    awaited = null;
    await open(wanted);
  } else if (wanted && !awaited && wanted !== missing) {
    missing = wanted; // an older picture than those listed, or one that is gone
    await open(wanted);
  }
  if (!shown && !awaited && listed.length) await open(listed[0].id);
}

// ---- keys

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.matches("input:not([type=range]):not([type=checkbox]), textarea, select")) return;
  const step = (by) => {
    const at = listed.findIndex((one) => one.id === shown?.id);
    const next = listed[at + by];
    if (next) open(next.id);
  };
  const modes = ["view", "plain", "false"];
  const act = {
    "[": () => setExposure(viewer.exposure - EXPOSURE_STEP),
    "]": () => setExposure(viewer.exposure + EXPOSURE_STEP),
    "\\": () => setExposure(0),
    v: () => setView(modes[(modes.indexOf(viewer.mode) + 1) % modes.length]),
    b: toggleBefore,
    f: () => viewer.fit(),
    1: () => viewer.zoomTo(1),
    "+": () => viewer.zoomTo(viewer.scale * 2),
    "=": () => viewer.zoomTo(viewer.scale * 2),
    "-": () => viewer.zoomTo(viewer.scale / 2),
    j: () => step(1),
    k: () => step(-1),
    "?": () => $("keys").showModal(),
  }[event.key.toLowerCase()];
  if (!act || !viewer) return;
  event.preventDefault();
  act();
});
$("help").addEventListener("click", () => $("keys").showModal());

watch();
