// From one sample rate to another, block by block: a windowed sinc as a polyphase filter.

import { LocalVQEError } from './errors.js';

const ZERO_CROSSINGS = 32; // on each side, counted at the lower of the two rates: 2 ms at 16 kHz
const EDGE = 0.9375; // of the lower Nyquist frequency: -6 dB at 7.5 kHz, 80 dB from 8.1 kHz on
const KAISER_BETA = 7.86; // 80 dB
const RATE_STEP = 25; // Hz; every usual rate is a multiple, and the table stays small

function greatestCommonDivisor(a, b) {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

/** The modified Bessel function of order zero, by its power series. */
function bessel0(x) {
  let sum = 1;
  let term = 1;
  for (let k = 1; term > 1e-12 * sum; ++k) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

/** Throws where a rate cannot be had. */
export function checkRate(rate) {
  if (!(rate >= 8000 && rate <= 384000) || rate % RATE_STEP !== 0) {
    throw new LocalVQEError(`a sample rate of ${rate} Hz; expected 8000 to 384000, a multiple of ${RATE_STEP}`);
  }
}

export class Resampler {
  /** Output sample m is the input at time m / to, in Hz; it comes as soon as what follows it is there (lookahead). */
  constructor(from, to) {
    checkRate(from);
    checkRate(to);
    const divisor = greatestCommonDivisor(from, to);
    this.up = to / divisor;
    this.down = from / divisor;
    this.plain = from === to;
    const lower = Math.min(from, to);
    const half = this.plain ? 0 : Math.ceil((ZERO_CROSSINGS * from) / lower);
    this.lookahead = half; // input samples
    this.taps = 2 * half;
    if (!this.plain) {
      this.phases = makePhases(this.up, half, (EDGE * lower) / from);
    }
    this.reset();
  }

  reset() {
    this.inputs = 0; // samples so far
    this.outputs = 0;
    // The window of the next output starts here: `taps` samples, in front of which nothing is needed.
    this.history = new Float32Array(this.taps + 4096);
    this.kept = Math.max(this.taps / 2 - 1, 0); // silence before the first sample
    this.position = 0; // of the next output's window in history
    this.phase = 0;
  }

  /** How many samples have come out once `inputs` have gone in. */
  outputsAfter(inputs) {
    if (this.plain) {
      return inputs;
    }
    const reach = inputs - this.lookahead; // outputs before this time, in input samples
    return reach <= 0 ? 0 : Math.floor((reach * this.up - 1) / this.down) + 1;
  }

  /** @param {Float32Array} input; returns what comes out, of another length each time */
  push(input) {
    if (this.plain) {
      this.inputs += input.length;
      this.outputs += input.length;
      return input;
    }
    if (this.kept + input.length > this.history.length) {
      const longer = new Float32Array(this.kept + input.length);
      longer.set(this.history.subarray(0, this.kept));
      this.history = longer;
    }
    const { history, taps, phases, up, down } = this;
    history.set(input, this.kept);
    this.kept += input.length;
    this.inputs += input.length;
    const count = this.outputsAfter(this.inputs) - this.outputs;
    const out = new Float32Array(count);
    for (let i = 0; i < count; ++i) {
      const from = this.position;
      const row = this.phase * taps;
      let sum = 0;
      for (let k = 0; k < taps; ++k) {
        sum += history[from + k] * phases[row + k];
      }
      out[i] = sum;
      const next = this.phase + down;
      this.position += Math.floor(next / up);
      this.phase = next % up;
    }
    this.outputs += count;
    // What lies before the next window is not needed again. The window may begin beyond what is there.
    const drop = Math.min(this.position, this.kept);
    history.copyWithin(0, drop, this.kept);
    this.kept -= drop;
    this.position -= drop;
    return out;
  }
}

/** Rows of 2 * half weights: phase p is for outputs that lie p / up behind the input sample half - 1 of the window. */
function makePhases(up, half, edge) {
  const taps = 2 * half;
  const phases = new Float32Array(up * taps);
  const top = bessel0(KAISER_BETA);
  for (let p = 0; p < up; ++p) {
    let sum = 0;
    for (let k = 0; k < taps; ++k) {
      const t = k - (half - 1) - p / up; // input samples from the output
      const x = t / half;
      const window = Math.abs(x) >= 1 ? 0 : bessel0(KAISER_BETA * Math.sqrt(1 - x * x)) / top;
      const angle = Math.PI * t * edge;
      phases[p * taps + k] = window * edge * (t === 0 ? 1 : Math.sin(angle) / angle);
      sum += phases[p * taps + k];
    }
    for (let k = 0; k < taps; ++k) {
      phases[p * taps + k] /= sum; // every phase passes a constant as it is
    }
  }
  return phases;
}

/** A whole clip, which starts and ends where the input does. */
export function resample(samples, from, to) {
  const resampler = new Resampler(from, to);
  const length = Math.ceil((samples.length * to) / from);
  const out = new Float32Array(length);
  const first = resampler.push(samples);
  out.set(first.subarray(0, length));
  if (first.length < length) {
    out.set(resampler.push(new Float32Array(resampler.lookahead + 1)).subarray(0, length - first.length), first.length);
  }
  return out;
}
