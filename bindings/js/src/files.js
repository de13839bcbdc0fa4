// Where bytes come from: files of this package, addresses, and in Node paths.

import { LocalVQEError } from './errors.js';

const IN_NODE = typeof process === 'object' && process.versions?.node !== undefined && typeof window === 'undefined';

/** The models in this package. */
export const MODELS = {
  default: new URL('../dist/default-f32.gguf', import.meta.url),
  kalman: new URL('../dist/kalman-f32.gguf', import.meta.url),
  denoise: new URL('../dist/denoise-q8_0.gguf', import.meta.url),
};

const WASM = new URL('../dist/localvqe.wasm', import.meta.url);

async function download(url) {
  let answer;
  try {
    answer = await fetch(url);
  } catch (error) {
    throw new LocalVQEError(`${url} cannot be reached: ${error.message}`);
  }
  if (!answer.ok) {
    throw new LocalVQEError(`${url}: the server answered ${answer.status}`);
  }
  return new Uint8Array(await answer.arrayBuffer());
}

async function readFile(path) {
  const { readFile: read } = await import(/* webpackIgnore: true */ /* @vite-ignore */ 'node:fs/promises');
  try {
    return new Uint8Array(await read(path));
  } catch (error) {
    throw new LocalVQEError(`${path}: ${error.code === 'ENOENT' ? 'no such file' : error.message}`);
  }
}

function ownFile(url) {
  return IN_NODE && url.protocol === 'file:' ? readFile(url) : download(url);
}

async function sha256(bytes) {
  if (globalThis.crypto?.subtle === undefined) {
    throw new LocalVQEError('no SHA-256 here: a page needs https or localhost, or else the model as bytes');
  }
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

async function fromAddress(url, expected) {
  if (!/^[0-9a-f]{64}$/i.test(expected ?? '')) {
    throw new LocalVQEError(`${url}: give the file's SHA-256 as well, 64 hexadecimal digits, {model, sha256}`);
  }
  const bytes = await download(url);
  const found = await sha256(bytes);
  if (found !== expected.toLowerCase()) {
    throw new LocalVQEError(`${url} has SHA-256 ${found}, expected ${expected.toLowerCase()}`);
  }
  return bytes;
}

/** The engine's module. */
export function wasmBytes() {
  return ownFile(WASM);
}

/**
 * A model's file.
 * @param {string | URL | ArrayBuffer | Uint8Array} model a name of MODELS, an address, in Node a path, or the bytes
 * @param {string} [expected] SHA-256 of the file at an address
 */
export async function modelBytes(model, expected) {
  if (model instanceof ArrayBuffer) {
    return new Uint8Array(model);
  }
  if (ArrayBuffer.isView(model)) {
    return new Uint8Array(model.buffer, model.byteOffset, model.byteLength);
  }
  if (typeof model === 'string' && Object.hasOwn(MODELS, model)) {
    return ownFile(MODELS[model]);
  }
  if (model instanceof URL || (typeof model === 'string' && model !== '')) {
    const text = String(model);
    const remote = /^(https?|blob|data):/i.test(text);
    if (IN_NODE && !remote) {
      return readFile(model);
    }
    return fromAddress(remote ? text : new URL(text, globalThis.location?.href).href, expected);
  }
  throw new LocalVQEError(`a model is 'default', 'kalman', 'denoise', an address, a path or the bytes of a file, not ${model}`);
}
