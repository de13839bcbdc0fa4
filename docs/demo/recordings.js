// The tab for recordings: two files in, before and after out.

import { RATE, decode } from './sound.js';

const element = (id) => document.getElementById(id);

export function setUpRecordings(player, model) {
  const worker = new Worker(new URL('./clean_worker.js', import.meta.url), { type: 'module' });
  const sounds = { mic: null, ref: null };
  const chosenModel = model(() => clean());
  let latest = 0;

  function say(text, problem = false) {
    element('recordings-status').textContent = text;
    element('recordings-status').classList.toggle('problem', problem);
  }

  function clean() {
    if (sounds.mic === null || sounds.ref === null) {
      return;
    }
    say('Cleaning …');
    element('progress').hidden = false;
    element('progress').value = 0;
    worker.postMessage({ id: ++latest, model: chosenModel(), ...sounds });
  }

  worker.onmessage = ({ data }) => {
    if (data.id !== latest) {
      return; // of a choice before
    }
    if (data.progress !== undefined) {
      element('progress').value = data.progress;
      return;
    }
    element('progress').hidden = true;
    if (data.error !== undefined) {
      say(data.error, true);
      return;
    }
    player.show(sounds.mic, data.cleaned);
    say(`Done: ${(data.cleaned.length / RATE).toFixed(1)} seconds.`);
  };
  worker.onerror = () => say('The engine could not be started; this browser may be too old.', true);

  async function take(side, blob, name) {
    try {
      sounds[side] = await decode(blob, name);
      element(`${side}-name`).textContent = name;
    } catch (error) {
      say(error.message, true);
      return;
    }
    const missing = { mic: 'ref', ref: 'mic' }[side];
    if (sounds[missing] === null) {
      say(`Now the recording of the ${missing === 'mic' ? 'microphone' : 'loudspeaker'}.`);
    }
    clean();
  }

  for (const drop of document.querySelectorAll('.drop')) {
    const { side } = drop.dataset;
    const input = drop.querySelector('input');
    input.addEventListener('change', () => input.files.length > 0 && take(side, input.files[0], input.files[0].name));
    drop.addEventListener('dragover', (event) => {
      event.preventDefault();
      drop.classList.add('over');
    });
    drop.addEventListener('dragleave', () => drop.classList.remove('over'));
    drop.addEventListener('drop', (event) => {
      event.preventDefault();
      drop.classList.remove('over');
      const [file] = event.dataTransfer.files;
      if (file !== undefined) {
        take(side, file, file.name);
      }
    });
  }

  element('sample').addEventListener('click', async () => {
    try {
      const blobs = await Promise.all(['mic', 'ref'].map(async (side) => (await fetch(`sample_${side}.wav`)).blob()));
      sounds.mic = null;
      sounds.ref = null;
      await take('mic', blobs[0], 'sample_mic.wav');
      await take('ref', blobs[1], 'sample_ref.wav');
    } catch {
      say('The sample pair could not be loaded.', true);
    }
  });
}
