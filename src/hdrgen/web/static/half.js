// Half floats: JavaScript has no array of them everywhere, so they come as their bits.

/** The number that 16 bits stand for (IEEE 754 binary16). */
export function halfToNumber(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

const ONE = 0x3c00;

/**
 * RGB halves as a texture takes them: with alpha 1, because RGB alone gets no mip levels.
 * Where a side is longer than `longest`, only every n-th pixel is kept.
 */
export function rgbaTexels(rgb, width, height, longest) {
  const step = Math.ceil(Math.max(width, height) / longest);
  const columns = Math.ceil(width / step);
  const rows = Math.ceil(height / step);
  const texels = new Uint16Array(columns * rows * 4);
  let to = 0;
  for (let y = 0; y < height; y += step) {
    for (let x = 0; x < width; x += step) {
      const from = (y * width + x) * 3;
      texels[to] = rgb[from];
      texels[to + 1] = rgb[from + 1];
      texels[to + 2] = rgb[from + 2];
      texels[to + 3] = ONE;
      to += 4;
    }
  }
  return { texels, columns, rows };
}
