// The histogram in stops, with what the display shows of it at the present exposure.

import { MID_GREY, stopsText } from "./light.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 288;
const HEIGHT = 96;
const AXIS = 16;
const WHITE_STOPS = Math.log2(1 / MID_GREY); // where 1.0 is

function element(name, attributes, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

export class Histogram {
  constructor(host) {
    this.host = host;
    this.exposure = 0;
    this.probe = NaN;
    this.clear();
  }

  clear() {
    this.data = null;
    this.host.replaceChildren();
    this.host.setAttribute("aria-label", "Histogram: no picture");
  }

  /** Take the shares of pixels between the edges, in stops from 18 % grey. */
  show({ edges_stops: edges, shares }) {
    const filled = shares.map((share, i) => (share > 0 ? i : -1)).filter((i) => i >= 0);
    const first = filled.length ? filled[0] : 0;
    const last = filled.length ? filled.at(-1) : shares.length - 1;
    // Room for the slider's whole way on both sides of what is there, within what the histogram tells apart.
    const lowest = Math.max(edges[0], Math.min(-8, Math.floor(edges[first]) - 1));
    const highest = Math.min(edges.at(-1), Math.max(8, Math.ceil(edges[last + 1]) + 1));
    this.data = { edges, shares, lowest, highest };
    const said = `Histogram: light from ${stopsText(edges[first])} to ${stopsText(edges[last + 1])} stops from 18 % grey`;
    this.host.setAttribute("aria-label", said);
    this.#build();
  }

  #x(stops) {
    const { lowest, highest } = this.data;
    return ((Math.min(highest, Math.max(lowest, stops)) - lowest) / (highest - lowest)) * WIDTH;
  }

  #build() {
    const { edges, shares, lowest, highest } = this.data;
    const tallest = Math.max(...shares) || 1;
    const bars = shares.flatMap((share, i) => {
      if (!share || edges[i + 1] <= lowest || edges[i] >= highest) return [];
      // The square root keeps a small lamp in sight beside a large sky.
      const height = Math.max(1, Math.sqrt(share / tallest) * HEIGHT);
      const x = this.#x(edges[i]);
      const width = Math.max(0.5, this.#x(edges[i + 1]) - x - 0.6);
      return [element("rect", { x, y: HEIGHT - height, width, height, class: "bar" })];
    });
    const ticks = [];
    for (let stops = Math.ceil(lowest / 4) * 4; stops <= highest; stops += 4) {
      const x = this.#x(stops);
      const end = x < 10 ? "start" : x > WIDTH - 10 ? "end" : "middle";
      ticks.push(
        element("line", { x1: x, x2: x, y1: 0, y2: HEIGHT, class: stops === 0 ? "grey" : "tick" }),
        element("text", { x, y: HEIGHT + 12, "text-anchor": end }, stops > 0 ? `+${stops}` : `${stops}`.replace("-", "−")),
      );
    }
    this.beyond = element("rect", { y: 0, height: HEIGHT, class: "beyond" });
    this.white = element("line", { y1: 0, y2: HEIGHT, class: "white" });
    this.mark = element("path", { class: "probe-mark" });
    const title = element("title", {}, "The line is where 1.0 is at this exposure; what is right of it lies above.");
    const picture = element(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT + AXIS}`, preserveAspectRatio: "none", "aria-hidden": "true" },
      title, ...ticks, ...bars, this.beyond, this.white, this.mark,
    );
    this.host.replaceChildren(picture);
    this.follow(this.exposure, this.probe);
  }

  /** Show where 1.0 is at an exposure, and where the probed pixel is. */
  follow(exposure, probe) {
    this.exposure = exposure;
    this.probe = probe;
    if (!this.data) return;
    const x = this.#x(WHITE_STOPS - exposure);
    this.beyond.setAttribute("x", x);
    this.beyond.setAttribute("width", WIDTH - x);
    this.white.setAttribute("x1", x);
    this.white.setAttribute("x2", x);
    const at = Number.isNaN(probe) ? null : this.#x(probe);
    this.mark.setAttribute("d", at === null ? "" : `M${at - 4} 0h8l-4 6z`);
  }
}
