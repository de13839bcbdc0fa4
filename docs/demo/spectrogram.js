// A picture of a sound: time to the right, frequency upwards (0 to 8 kHz at 16 kHz), level as brightness.

const SIZE = 512;
const QUIETEST = -95; // dB
const LOUDEST = -25;

const window_ = Float32Array.from({ length: SIZE }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * (i + 0.5)) / SIZE));
const twiddle = Array.from({ length: SIZE / 2 }, (_, i) => [Math.cos((2 * Math.PI * i) / SIZE), -Math.sin((2 * Math.PI * i) / SIZE)]);

/** In place, SIZE points. */
function transform(re, im) {
  for (let i = 1, j = 0; i < SIZE; ++i) {
    let bit = SIZE >> 1;
    for (; j & bit; bit >>= 1) {
      j ^= bit;
    }
    j ^= bit;
    if (i < j) {
      [re[i], re[j]] = [re[j], re[i]];
    }
  }
  for (let width = 1; width < SIZE; width *= 2) {
    for (let start = 0; start < SIZE; start += 2 * width) {
      for (let k = 0; k < width; ++k) {
        const [c, s] = twiddle[(k * SIZE) / (2 * width)];
        const a = start + k;
        const b = a + width;
        const r = re[b] * c - im[b] * s;
        const i = re[b] * s + im[b] * c;
        re[b] = re[a] - r;
        im[b] = im[a] - i;
        re[a] += r;
        im[a] += i;
      }
    }
  }
}

/** From black over blue and orange to white, each step brighter than the one before. */
function colour(x) {
  const stops = [[0, 0, 0], [26, 34, 96], [142, 36, 110], [228, 100, 60], [250, 200, 80], [255, 255, 240]];
  const at = Math.max(0, Math.min(0.9999, x)) * (stops.length - 1);
  const [low, high] = [stops[Math.floor(at)], stops[Math.floor(at) + 1]];
  return low.map((v, i) => v + (high[i] - v) * (at % 1));
}

const palette = Array.from({ length: 256 }, (_, i) => colour(i / 255));

/** Draws all of samples over the whole of canvas. */
export function draw(canvas, samples) {
  const context = canvas.getContext('2d');
  const { width, height } = canvas;
  const image = context.createImageData(width, height);
  const re = new Float64Array(SIZE);
  const im = new Float64Array(SIZE);
  for (let column = 0; column < width; ++column) {
    const centre = Math.round(((column + 0.5) / width) * samples.length);
    for (let i = 0; i < SIZE; ++i) {
      re[i] = (samples[centre - SIZE / 2 + i] ?? 0) * window_[i];
      im[i] = 0;
    }
    transform(re, im);
    for (let row = 0; row < height; ++row) {
      const bin = Math.floor(((height - 1 - row) / height) * (SIZE / 2));
      const decibels = 10 * Math.log10((re[bin] ** 2 + im[bin] ** 2) / (SIZE / 4) ** 2 + 1e-12);
      const shade = palette[Math.round(255 * Math.max(0, Math.min(1, (decibels - QUIETEST) / (LOUDEST - QUIETEST))))];
      image.data.set([...shade, 255], 4 * (row * width + column));
    }
  }
  context.putImageData(image, 0, 0);
  return image;
}
