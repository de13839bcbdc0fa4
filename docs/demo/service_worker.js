// Keeps every file of the page. assemble.mjs writes VERSION and FILES above, so that a new build is a new worker.
/* global VERSION, FILES */

const NAME = `localvqe-demo-${VERSION}`;

self.addEventListener('install', (event) => {
  event.waitUntil(caches.open(NAME).then((cache) => cache.addAll(FILES.map((file) => new Request(file, { cache: 'reload' })))));
  self.skipWaiting();
});

self.addEventListener('activate', (event) => {
  const old = caches.keys().then((names) => Promise.all(
    names.filter((name) => name.startsWith('localvqe-demo-') && name !== NAME).map((name) => caches.delete(name)),
  ));
  event.waitUntil(old.then(() => self.clients.claim()));
});

self.addEventListener('fetch', (event) => {
  if (event.request.method !== 'GET') {
    return;
  }
  const url = new URL(event.request.url);
  const request = url.pathname.endsWith('/') ? new Request(`${url.origin}${url.pathname}index.html`) : event.request;
  event.respondWith(caches.open(NAME).then((cache) => cache.match(request)).then((kept) => kept ?? fetch(event.request)));
});
