// The page: tabs, the choice of the model, and what both tabs share.
import { setUpLive } from './live.js';
import { Player } from './player.js';
import { setUpRecordings } from './recordings.js';

const tabs = [...document.querySelectorAll('[role="tab"]')];

function select(tab) {
  for (const other of tabs) {
    const chosen = other === tab;
    other.setAttribute('aria-selected', String(chosen));
    other.tabIndex = chosen ? 0 : -1;
    document.getElementById(other.getAttribute('aria-controls')).hidden = !chosen;
  }
}

for (const [i, tab] of tabs.entries()) {
  tab.addEventListener('click', () => select(tab));
  tab.addEventListener('keydown', ({ key }) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
    if (step !== undefined) {
      const next = tabs[(i + step + tabs.length) % tabs.length];
      select(next);
      next.focus();
    }
  });
}

const player = new Player();

/** The name of the chosen model; calls back at each new choice. */
function model(changed) {
  const choices = [...document.querySelectorAll('[name="model"]')];
  for (const choice of choices) {
    choice.addEventListener('change', changed);
  }
  return () => choices.find((choice) => choice.checked).value;
}

setUpRecordings(player, model);
setUpLive(player, model);

// The second visit needs no network.
if ('serviceWorker' in navigator) {
  navigator.serviceWorker.register('service_worker.js').catch(() => {});
  navigator.serviceWorker.ready.then(() => {
    document.getElementById('offline').textContent = 'It works offline from now on.';
  });
}
