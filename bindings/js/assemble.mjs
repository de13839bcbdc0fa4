// Puts together what build.sh has built: bindings/js/dist, which the package publishes, and build/demo, the demo page.
// usage: node assemble.mjs WASM      or, to ask whether dist is what these sources give:  node assemble.mjs --check

import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = join(HERE, '..', '..');
const DIST = join(HERE, 'dist');
const DEMO = join(ROOT, 'build', 'demo');
const WEIGHTS = join(ROOT, 'localvqe_cli', 'weights');

/** What the module is made of; a change in any of these files makes it stale. */
const ENGINE_SOURCES = ['native/src', 'native/include', 'native/cmake', 'native/contract', 'native/CMakeLists.txt',
  'pyproject.toml', 'localvqe_cli/config.py', 'localvqe_cli/geometry.py', 'localvqe_cli/tensors.py',
  'localvqe_cli/reference/frontend.py', 'localvqe_cli/reference/kalman.py', 'localvqe_cli/reference/frontend_gain.py',
  'localvqe_cli/reference/residual_echo.py', 'localvqe_cli/reference/noise_reduction.py'];
const MODELS = ['default-f32.gguf', 'kalman-f32.gguf', 'denoise-q8_0.gguf'];
const COPIES = [...MODELS, 'ATTRIBUTION.md'].map((name) => join(WEIGHTS, name));
/** In the order in which they may be read as one. */
const WORKLET = ['errors', 'engine', 'resampler', 'stream', 'guard', 'canceller_processor'];

function filesBelow(path) {
  if (!statSync(path).isDirectory()) {
    return [path];
  }
  return readdirSync(path).filter((name) => name !== '__pycache__').sort().flatMap((name) => filesBelow(join(path, name)));
}

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

function sourceHash() {
  const lines = ENGINE_SOURCES.flatMap((path) => filesBelow(join(ROOT, path)))
    .map((path) => `${sha256(readFileSync(path))} ${relative(ROOT, path)}`);
  return sha256(lines.join('\n'));
}

/** Modules as one script: bundlers copy a worklet's file, and not what it imports. */
function joinModules(names) {
  const parts = names.map((name) => {
    const text = readFileSync(join(HERE, 'src', `${name}.js`), 'utf8');
    return text.replace(/^import \{[^}]*\} from '[^']*';\n/gm, '').replace(/^export /gm, '');
  });
  return `// Made by assemble.mjs of ${names.map((name) => `${name}.js`).join(', ')}\n${parts.join('\n')}`;
}

function report(path) {
  const bytes = readFileSync(path);
  const kilo = (n) => `${(n / 1000).toFixed(1)} kB`;
  console.log(`${relative(ROOT, path)}: ${kilo(bytes.length)}, ${kilo(gzipSync(bytes, { level: 9 }).length)} gzipped`);
}

function assembleDist(wasm) {
  rmSync(DIST, { recursive: true, force: true });
  mkdirSync(DIST);
  for (const path of COPIES) {
    cpSync(path, join(DIST, basename(path)));
  }
  writeFileSync(join(DIST, 'localvqe.wasm'), readFileSync(wasm)); // a program to the linker, a file to us
  cpSync(join(ROOT, 'LICENSE'), join(DIST, 'LICENSE'));
  writeFileSync(join(DIST, 'worklet.js'), joinModules(WORKLET));
  const files = Object.fromEntries(readdirSync(DIST).sort().filter((name) => name !== 'worklet.js').map((name) => [name, sha256(readFileSync(join(DIST, name)))]));
  writeFileSync(join(DIST, 'build.json'), `${JSON.stringify({ sources: sourceHash(), files }, null, 2)}\n`);
}

/** The page and the package in one folder, for any static host; the service worker keeps them for the next time. */
function assembleDemo() {
  rmSync(DEMO, { recursive: true, force: true });
  mkdirSync(DEMO, { recursive: true });
  cpSync(join(ROOT, 'docs', 'demo'), DEMO, { recursive: true });
  for (const name of ['src', 'dist']) {
    cpSync(join(HERE, name), join(DEMO, 'localvqe', name), { recursive: true });
  }
  for (const side of ['mic', 'ref']) {
    cpSync(join(ROOT, 'examples', `sample_${side}.wav`), join(DEMO, `sample_${side}.wav`));
  }
  const files = filesBelow(DEMO).filter((path) => basename(path) !== 'service_worker.js');
  const version = sha256(files.map((path) => `${sha256(readFileSync(path))} ${relative(DEMO, path)}`).join('\n'));
  const list = files.map((path) => relative(DEMO, path).replaceAll('\\', '/'));
  const worker = join(DEMO, 'service_worker.js');
  const head = `const VERSION = '${version.slice(0, 16)}';\nconst FILES = ${JSON.stringify(list)};\n`;
  writeFileSync(worker, head + readFileSync(worker, 'utf8'));
}

/** Why dist cannot be used, or null. */
function complaint() {
  const record = join(DIST, 'build.json');
  if (!existsSync(record)) {
    return 'the WebAssembly build is not there; run bindings/js/build.sh';
  }
  const { sources, files } = JSON.parse(readFileSync(record, 'utf8'));
  if (sources !== sourceHash()) {
    return 'the WebAssembly build is older than its sources; run bindings/js/build.sh';
  }
  const kept = (path, hash) => existsSync(path) && sha256(readFileSync(path)) === hash;
  const wrong = Object.keys(files).find((name) => !kept(join(DIST, name), files[name]));
  if (wrong !== undefined) {
    return `dist/${wrong} is not what was built; run bindings/js/build.sh`;
  }
  const copies = [[join(ROOT, 'docs', 'demo'), DEMO], [join(HERE, 'src'), join(DEMO, 'localvqe', 'src')]];
  const fresh = kept(join(DIST, 'worklet.js'), sha256(joinModules(WORKLET))) && copies.every(([from, to]) => filesBelow(from)
    .filter((path) => basename(path) !== 'service_worker.js')
    .every((path) => kept(join(to, relative(from, path)), sha256(readFileSync(path)))));
  return fresh ? null : 'the worklet or the demo page is older than its sources; run bindings/js/build.sh';
}

const [argument] = process.argv.slice(2);
if (argument === '--check') {
  const text = complaint();
  console.log(text ?? 'fresh');
  process.exit(text === null ? 0 : 1);
}
if (argument === undefined) {
  console.error('usage: node assemble.mjs WASM | --check');
  process.exit(2);
}
assembleDist(argument);
assembleDemo();
for (const name of ['localvqe.wasm', 'worklet.js', ...MODELS]) {
  report(join(DIST, name));
}
