// The public names; types/index.d.ts says what each of them does.
export { createEchoCanceller, EchoCanceller, microphoneConstraints } from './echo_canceller.js';
export { LocalVQEError } from './errors.js';
export { LocalVQE } from './localvqe.js';
export { Stream } from './stream.js';
