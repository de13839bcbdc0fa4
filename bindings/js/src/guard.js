// Between the cleaned signal and the microphone: what is heard when the canceller is switched off or cannot keep up.

const FADE_SECONDS = 0.02;
const WINDOW_SECONDS = 0.5; // of sound, over which the load is measured
const TOO_MUCH = 0.8; // of the time that there is; the rest of the page needs the remainder
const FIRST_REST_SECONDS = 4;
const LONGEST_REST_SECONDS = 64;

/** The microphone as late as the cleaned signal, and a crossfade between both. */
export class DryPath {
  constructor(sampleRate, delaySeconds) {
    this.line = new Float32Array(Math.max(1, Math.round(sampleRate * delaySeconds)));
    this.at = 0;
    this.share = 1; // of the cleaned signal
    this.step = 1 / (FADE_SECONDS * sampleRate);
  }

  /** Mixes into cleaned; mic may not be the same array. */
  mix(mic, cleaned, wanted) {
    const goal = wanted ? 1 : 0;
    for (let i = 0; i < mic.length; ++i) {
      const dry = this.line[this.at];
      this.line[this.at] = mic[i];
      this.at = this.at + 1 === this.line.length ? 0 : this.at + 1;
      if (this.share !== goal) {
        this.share += Math.max(-this.step, Math.min(this.step, goal - this.share));
      }
      if (this.share !== 1) {
        cleaned[i] = this.share * cleaned[i] + (1 - this.share) * dry;
      }
    }
  }
}

/** Measures what the model takes of the time that there is, and rests it where that is too much. */
export class LoadGuard {
  constructor(hopSeconds) {
    this.hopSeconds = hopSeconds;
    this.hopsPerWindow = Math.round(WINDOW_SECONDS / hopSeconds);
    /** Share of the time, 0 to 1 or more; of the latest window. */
    this.load = 0;
    this.resting = false;
    this.rest = FIRST_REST_SECONDS;
    this.calm = 0; // seconds without a rest
    this.left = 0; // seconds of this rest
    this.#begin();
  }

  #begin() {
    this.hops = 0;
    this.spent = 0;
  }

  /** A hop was computed in so many seconds. */
  computed(seconds) {
    this.spent += seconds;
    if (++this.hops < this.hopsPerWindow) {
      return;
    }
    const available = this.hops * this.hopSeconds;
    this.load = this.spent / available;
    this.#begin();
    if (this.load > TOO_MUCH) {
      this.resting = true;
      this.left = this.rest;
      this.rest = Math.min(2 * this.rest, LONGEST_REST_SECONDS);
      this.calm = 0;
    } else if ((this.calm += available) > this.rest) {
      this.rest = FIRST_REST_SECONDS;
    }
  }

  /** Time goes by. */
  passed(seconds) {
    if (this.resting && (this.left -= seconds) <= 0) {
      this.resting = false;
      this.#begin();
    }
  }
}
