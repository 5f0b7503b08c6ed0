// Scene-linear light in numbers a colourist reads.

export const MID_GREY = 0.18;

/** Relative luminance of ACEScg (AP1), as SMPTE RP 177 derives it from the primaries. */
export function luminance(r, g, b) {
  return 0.2722287168 * r + 0.6740817658 * g + 0.0536895174 * b;
}

/** Stops from 18 % grey; NaN where there is no light. */
export function stopsFromGrey(linear) {
  return linear > 0 ? Math.log2(linear / MID_GREY) : NaN;
}

/** A linear value in four digits, of one width over the range that matters. */
export function linearText(value) {
  const size = Math.abs(value);
  if (value === 0) return "0";
  if (!Number.isFinite(value)) return String(value);
  if (size < 0.0001) return value.toExponential(2);
  return size >= 1000 ? value.toFixed(0) : value.toPrecision(4);
}

/** Stops with their sign: +2.0, -0.5, 0.0. */
export function stopsText(stops) {
  if (Number.isNaN(stops)) return "–";
  const text = stops.toFixed(1);
  if (text === "-0.0" || text === "0.0") return "0.0";
  return stops > 0 ? `+${text}` : text.replace("-", "−");
}

/** False colours for stops -8 to +8, a band of one stop each: cold to warm around a neutral grey, white at the end. */
export const FALSE_COLOURS = [
  "#1a1026", "#2e1a57", "#3a2c8f", "#3f4ec4", "#3579d8", "#2aa0c8", "#2cb59a", "#4fb35c",
  "#808080",
  "#b9c23f", "#e6c12f", "#f3a12d", "#f17a2e", "#e4512f", "#cf2f43", "#e86fb0", "#ffffff",
];
export const FALSE_LOWEST = -8;
