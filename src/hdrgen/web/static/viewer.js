// The viewer: a half-float texture seen through exposure and a display view, on WebGL2.

import { halfToNumber, rgbaTexels } from "./half.js";
import { FALSE_COLOURS } from "./light.js";

const VERTEX = `#version 300 es
void main() {
  vec2 corner = vec2(gl_VertexID & 1, gl_VertexID >> 1) * 4.0 - 1.0; // one triangle over everything
  gl_Position = vec4(corner, 0.0, 1.0);
}`;

const FRAGMENT = `#version 300 es
precision highp float;
precision highp int;
precision highp sampler3D;

uniform sampler2D picture;   // scene-linear ACEScg
uniform sampler2D before;    // the same of what it was made of
uniform sampler3D view;      // code values of the display
uniform vec2 size;           // of the picture, in pixels
uniform vec2 origin;         // the picture's place at the canvas's top left, in its pixels
uniform float scale;         // canvas pixels to one of the picture
uniform float canvasHeight;
uniform float gain;          // 2^exposure
uniform float split;         // canvas pixels from the left: before, then after
uniform int compare;         // 0 nothing, 1 an 8-bit picture, 2 before
uniform int mode;            // 0 display view, 1 no tone map, 2 false colour
uniform vec2 viewStops;      // log2 of what the first and the last place of the view hold
uniform vec3 falseColours[17];
out vec4 code;

// ACEScg to linear Rec.709 and back, white to white by Bradford as ACES has it; columns first.
const mat3 TO_709 = mat3(TO_709_COLUMNS);
const mat3 FROM_709 = inverse(TO_709);

vec3 srgbEncode(vec3 x) {   // IEC 61966-2-1
  return mix(12.92 * x, 1.055 * pow(max(x, 0.0031308), vec3(1.0 / 2.4)) - 0.055, step(0.0031308, x));
}
vec3 srgbDecode(vec3 v) {
  return mix(v / 12.92, pow((v + 0.055) / 1.055, vec3(2.4)), step(0.04045, v));
}

vec3 displayed(vec3 light) {
  if (mode == 1) return srgbEncode(clamp(TO_709 * light, 0.0, 1.0));
  if (mode == 2) {
    float y = dot(light, vec3(0.2722287168, 0.6740817658, 0.0536895174));
    if (y <= 0.0) return vec3(0.0);
    return falseColours[int(clamp(floor(log2(y / 0.18) + 0.5), -8.0, 8.0)) + 8];
  }
  vec3 stops = log2(clamp(light, 0.0, 65504.0) + exp2(viewStops.x));
  vec3 place = clamp((stops - viewStops.x) / (viewStops.y - viewStops.x), 0.0, 1.0);
  float side = float(textureSize(view, 0).x);
  return texture(view, (place * (side - 1.0) + 0.5) / side).rgb;
}

void main() {
  vec2 pixel = vec2(gl_FragCoord.x, canvasHeight - gl_FragCoord.y);
  vec2 uv = (origin + pixel / scale) / size;
  vec3 light = texture(picture, uv).rgb;
  vec3 other = compare == 2 ? texture(before, uv).rgb : light;
  bool outside = any(lessThan(uv, vec2(0.0))) || any(greaterThanEqual(uv, vec2(1.0)));
  if (outside) { code = vec4(0.0); return; }
  if (compare != 0 && pixel.x < split) {
    light = other;
    if (compare == 1) {
      vec3 code8 = round(srgbEncode(clamp(TO_709 * light, 0.0, 1.0)) * 255.0) / 255.0;
      light = FROM_709 * srgbDecode(code8);
    }
  }
  code = vec4(displayed(light * gain), 1.0);
}`.replace("TO_709_COLUMNS", [
  1.70505, -0.13026, -0.02400,
  -0.62179, 1.14080, -0.12897,
  -0.08326, -0.01055, 1.15297,
].map((x) => x.toFixed(5)).join(", "));

const MODES = { view: 0, plain: 1, false: 2 };
const COMPARISONS = { none: 0, eight: 1, before: 2 };
const ZOOM_MAX = 64;

export class Viewer {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {(change: string) => void} onChange told of "zoom" and "draw", so that what lies over the canvas can follow
   */
  constructor(canvas, onChange) {
    this.canvas = canvas;
    this.onChange = onChange;
    this.exposure = 0;
    this.mode = "view";
    this.compare = "none";
    this.split = 0.5;
    this.picture = null; // {width, height, rgb, before}
    this.fitted = true;
    this.scale = 1;
    this.origin = { x: 0, y: 0 };
    const gl = canvas.getContext("webgl2", { alpha: true, antialias: false, premultipliedAlpha: false });
    if (!gl) throw new Error("This browser has no WebGL2, which the viewer needs; EXRs can be downloaded all the same.");
    this.gl = gl;
    this.#start();
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => {
      this.#start();
      if (this.cube) this.setView(this.cube);
      if (this.picture) this.#fill();
      this.draw();
    });
    new ResizeObserver(() => this.#resized()).observe(canvas);
  }

  #start() {
    const { gl } = this;
    gl.getExtension("EXT_color_buffer_float") ?? gl.getExtension("EXT_color_buffer_half_float"); // mip levels
    const program = gl.createProgram();
    for (const [type, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(type);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) {
      const logs = gl.getAttachedShaders(program).map((shader) => gl.getShaderInfoLog(shader));
      throw new Error(`The viewer's shader does not compile here: ${logs.join(" ")}`);
    }
    gl.useProgram(program);
    this.at = (name) => gl.getUniformLocation(program, name);
    gl.uniform1i(this.at("picture"), 0);
    gl.uniform1i(this.at("before"), 1);
    gl.uniform1i(this.at("view"), 2);
    const colours = FALSE_COLOURS.flatMap((hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255));
    gl.uniform3fv(this.at("falseColours"), colours);
    this.textures = [gl.createTexture(), gl.createTexture(), gl.createTexture()];
    for (const [unit, texture] of this.textures.entries()) {
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(unit === 2 ? gl.TEXTURE_3D : gl.TEXTURE_2D, texture);
    }
  }

  /** Take the display view: {side, stops: [lowest, highest], codes: Uint16Array of halves}. */
  setView(cube) {
    const { gl } = this;
    this.cube = cube;
    gl.activeTexture(gl.TEXTURE2);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 2);
    gl.texImage3D(gl.TEXTURE_3D, 0, gl.RGB16F, cube.side, cube.side, cube.side, 0, gl.RGB, gl.HALF_FLOAT, cube.codes);
    this.#parameters(gl.TEXTURE_3D, gl.LINEAR, gl.LINEAR);
    gl.uniform2fv(this.at("viewStops"), cube.stops);
    this.draw();
  }

  /** Show a picture: {width, height, rgb: Uint16Array of halves, before: the same or null}; null shows nothing. */
  show(picture) {
    const same = this.picture && picture && this.picture.width === picture.width && this.picture.height === picture.height;
    this.picture = picture;
    if (picture) this.#fill();
    if (!same) this.fitted = true;
    this.#resized();
  }

  #fill() {
    const { gl, picture } = this;
    for (const [unit, rgb] of [picture.rgb, picture.before].entries()) {
      gl.activeTexture(gl.TEXTURE0 + unit);
      const longest = gl.getParameter(gl.MAX_TEXTURE_SIZE);
      const { texels, columns, rows } = rgb
        ? rgbaTexels(rgb, picture.width, picture.height, longest)
        : { texels: new Uint16Array(4), columns: 1, rows: 1 };
      gl.pixelStorei(gl.UNPACK_ALIGNMENT, 4);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA16F, columns, rows, 0, gl.RGBA, gl.HALF_FLOAT, texels);
      gl.generateMipmap(gl.TEXTURE_2D); // light is averaged, not codes
      this.#parameters(gl.TEXTURE_2D, gl.LINEAR_MIPMAP_LINEAR, gl.NEAREST);
    }
  }

  #parameters(target, smaller, larger) {
    const { gl } = this;
    gl.texParameteri(target, gl.TEXTURE_MIN_FILTER, smaller);
    gl.texParameteri(target, gl.TEXTURE_MAG_FILTER, larger);
    for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T, gl.TEXTURE_WRAP_R]) {
      gl.texParameteri(target, side, gl.CLAMP_TO_EDGE);
    }
  }

  /** Pixels of the canvas to one CSS pixel. */
  get density() {
    return this.canvas.width / Math.max(1, this.canvas.clientWidth);
  }

  #resized() {
    const { canvas } = this;
    const density = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(canvas.clientWidth * density));
    const height = Math.max(1, Math.round(canvas.clientHeight * density));
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    if (this.fitted) this.fit();
    else this.#settle();
  }

  /** Show the whole picture, small ones in whole multiples of a pixel. */
  fit() {
    if (!this.picture) return this.draw();
    this.fitted = true;
    const { width, height } = this.picture;
    const scale = Math.min(this.canvas.width / width, this.canvas.height / height);
    this.scale = scale > 1 ? Math.floor(scale) : scale;
    this.#settle();
  }

  /** Zoom so that the place at (x, y), in canvas pixels, stays where it is; the middle by default. */
  zoomTo(scale, x = this.canvas.width / 2, y = this.canvas.height / 2) {
    if (!this.picture) return;
    const least = Math.min(1, this.canvas.width / this.picture.width, this.canvas.height / this.picture.height) / 2;
    const next = Math.min(ZOOM_MAX, Math.max(least, scale));
    this.origin.x += x / this.scale - x / next;
    this.origin.y += y / this.scale - y / next;
    this.scale = next;
    this.fitted = false;
    this.#settle();
  }

  /** Move the picture by canvas pixels. */
  pan(x, y) {
    this.origin.x -= x / this.scale;
    this.origin.y -= y / this.scale;
    this.fitted = false;
    this.#settle();
  }

  /** Keep the picture in sight: in the middle where it is smaller than the canvas, without a gap where it is larger. */
  #settle() {
    if (this.picture) {
      for (const [side, length, room] of [
        ["x", this.picture.width, this.canvas.width / this.scale],
        ["y", this.picture.height, this.canvas.height / this.scale],
      ]) {
        this.origin[side] = room >= length
          ? Math.round(((length - room) / 2) * this.scale) / this.scale
          : Math.min(length - room, Math.max(0, this.origin[side]));
      }
    }
    this.onChange("zoom");
    this.draw();
  }

  /** The picture's pixel under a place of the canvas, in CSS pixels; null outside. */
  pixelAt(x, y) {
    if (!this.picture) return null;
    const column = Math.floor(this.origin.x + (x * this.density) / this.scale);
    const row = Math.floor(this.origin.y + (y * this.density) / this.scale);
    const inside = column >= 0 && row >= 0 && column < this.picture.width && row < this.picture.height;
    return inside ? { x: column, y: row } : null;
  }

  /** Where the middle of a pixel is on the canvas, in CSS pixels. */
  placeOf(pixel) {
    const to = (at, origin) => ((at + 0.5 - origin) * this.scale) / this.density;
    return { x: to(pixel.x, this.origin.x), y: to(pixel.y, this.origin.y) };
  }

  /** Scene-linear R, G, B of a pixel, from the file's own half floats. */
  linearAt(pixel) {
    const at = (pixel.y * this.picture.width + pixel.x) * 3;
    return [0, 1, 2].map((i) => halfToNumber(this.picture.rgb[at + i]));
  }

  /** Draw with the next frame. */
  draw() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = null;
      this.#draw();
    });
  }

  #draw() {
    const { gl, canvas, picture } = this;
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    if (picture && this.cube) {
      gl.uniform2f(this.at("size"), picture.width, picture.height);
      gl.uniform2f(this.at("origin"), this.origin.x, this.origin.y);
      gl.uniform1f(this.at("scale"), this.scale);
      gl.uniform1f(this.at("canvasHeight"), canvas.height);
      gl.uniform1f(this.at("gain"), 2 ** this.exposure);
      gl.uniform1f(this.at("split"), this.split * canvas.width);
      gl.uniform1i(this.at("compare"), COMPARISONS[this.compare]);
      gl.uniform1i(this.at("mode"), MODES[this.mode]);
      gl.drawArrays(gl.TRIANGLES, 0, 3);
    }
    this.onChange("draw");
  }
}
