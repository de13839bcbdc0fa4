// Before and after, played in step: both run, and the switch chooses which is heard.

import { RATE, level, wavBlob } from './sound.js';
import { draw } from './spectrogram.js';

const element = (id) => document.getElementById(id);

function minutes(seconds) {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`;
}

export class Player {
  constructor() {
    this.sounds = null;
    this.sources = [];
    this.position = 0; // seconds
    this.startedAt = null; // by the context's clock, while it plays
    element('play').addEventListener('click', () => this.toggle());
    element('position').addEventListener('input', ({ target }) => this.seek(Number(target.value)));
    for (const choice of document.querySelectorAll('[name="heard"]')) {
      choice.addEventListener('change', () => this.#choose(choice.value));
    }
    document.addEventListener('keydown', (event) => this.#key(event));
  }

  /** Two sounds of one length at 16 kHz. */
  show(before, after) {
    this.stop();
    this.position = 0;
    this.sounds = { before, after };
    this.images = {};
    for (const [name, samples] of Object.entries(this.sounds)) {
      this.images[name] = draw(element(name), samples);
      element(name).setAttribute('aria-label', `Spectrogram ${name}: ${minutes(samples.length / RATE)} minutes, mean level ${level(samples).toFixed(0)} dB`);
    }
    const change = level(before) - level(after);
    element('summary').textContent = change >= 0
      ? `The result is ${change.toFixed(1)} dB quieter than the microphone was, on the whole.`
      : `The result is ${(-change).toFixed(1)} dB louder than the microphone was, on the whole.`;
    const link = element('download');
    URL.revokeObjectURL(link.href);
    link.href = URL.createObjectURL(wavBlob(after));
    element('position').max = String(before.length / RATE);
    element('result').hidden = false;
    this.#showPosition();
  }

  toggle() {
    if (this.startedAt === null) {
      this.play();
    } else {
      this.stop();
    }
  }

  play() {
    if (this.sounds === null) {
      return;
    }
    this.context ??= new AudioContext();
    this.context.resume();
    const length = this.sounds.before.length;
    if (this.position >= length / RATE - 0.01) {
      this.position = 0;
    }
    this.gains = {};
    this.startedAt = this.context.currentTime + 0.02;
    this.sources = Object.entries(this.sounds).map(([name, samples]) => {
      const buffer = this.context.createBuffer(1, length, RATE);
      buffer.copyToChannel(samples, 0);
      const source = this.context.createBufferSource();
      source.buffer = buffer;
      this.gains[name] = this.context.createGain();
      source.connect(this.gains[name]).connect(this.context.destination);
      source.start(this.startedAt, this.position);
      return source;
    });
    this.#choose(document.querySelector('[name="heard"]:checked').value, 0);
    element('play').textContent = 'Stop';
    this.#tick();
  }

  stop() {
    if (this.startedAt === null) {
      return;
    }
    this.position = this.#now();
    this.startedAt = null;
    for (const source of this.sources) {
      source.stop();
      source.disconnect();
    }
    element('play').textContent = 'Play';
    this.#showPosition();
  }

  seek(seconds) {
    const playing = this.startedAt !== null;
    this.stop();
    this.position = seconds;
    if (playing) {
      this.play();
    }
    this.#showPosition();
  }

  #now() {
    const length = this.sounds.before.length / RATE;
    const played = this.startedAt === null ? 0 : Math.max(0, this.context.currentTime - this.startedAt);
    return Math.min(length, this.position + played);
  }

  #choose(name, seconds = 0.01) {
    for (const [other, gain] of Object.entries(this.gains ?? {})) {
      gain.gain.setTargetAtTime(other === name ? 1 : 0, this.context.currentTime, seconds);
      if (seconds === 0) {
        gain.gain.value = other === name ? 1 : 0;
      }
    }
  }

  #tick() {
    if (this.startedAt === null) {
      return;
    }
    if (this.#now() >= this.sounds.before.length / RATE) {
      this.stop();
      return;
    }
    this.#showPosition();
    requestAnimationFrame(() => this.#tick());
  }

  #showPosition() {
    const now = this.#now();
    element('position').value = String(now);
    element('time').textContent = `${minutes(now)} of ${minutes(this.sounds.before.length / RATE)}`;
    element('position').setAttribute('aria-valuetext', element('time').textContent);
    for (const name of ['before', 'after']) {
      const canvas = element(name);
      const context = canvas.getContext('2d');
      context.putImageData(this.images[name], 0, 0);
      context.fillStyle = '#fff';
      context.fillRect((now / (this.sounds.before.length / RATE)) * canvas.width - 1, 0, 2, canvas.height);
    }
  }

  #key(event) {
    const busy = event.target.closest('button, input, a, select, [role="tab"]') !== null;
    if (this.sounds === null || event.ctrlKey || event.metaKey || event.altKey) {
      return;
    }
    if (event.key === ' ' && !busy) {
      event.preventDefault();
      this.toggle();
    }
    const choice = { b: 'before', a: 'after' }[event.key];
    if (choice !== undefined) {
      const input = document.querySelector(`[name="heard"][value="${choice}"]`);
      input.checked = true;
      this.#choose(choice);
    }
  }
}
