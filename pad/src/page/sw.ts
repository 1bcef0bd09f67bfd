// The service worker: the page's own files, so that it opens without the server and says that it is not connected. The server's
// files come first; the kept ones are used only if it does not answer. Nothing else is kept: no answer has callers' data.

const CACHE = "ringpad-shell";
/** Relative to the page's address. */
const SHELL = ["./", "pad.js", "pad.css", "manifest.webmanifest", "icon.svg", "icon-192.png"];
/** Milliseconds for a whole file, if there is a kept one: a server that hangs is as good as none. */
const PATIENCE = 4_000;

/** The parts of a service worker's scope that are used: TypeScript has either these types or a page's. */
interface WorkerScope {
  registration: { scope: string };
  clients: { claim(): Promise<void>; matchAll(options: { type: "window" }): Promise<{ focus(): Promise<unknown> }[]> };
  skipWaiting(): Promise<void>;
  addEventListener(type: "install" | "activate", react: (event: Lasting) => void): void;
  addEventListener(type: "fetch", react: (event: Lasting & { request: Request; respondWith(answer: Promise<Response>): void }) => void): void;
  addEventListener(type: "notificationclick", react: (event: Lasting & { notification: Notification }) => void): void;
}

interface Lasting {
  waitUntil(work: Promise<unknown>): void;
}

const worker = self as unknown as WorkerScope;
const addresses = new Set(SHELL.map((path) => new URL(path, worker.registration.scope).href));

worker.addEventListener("install", (event) => {
  const keep = async () => (await caches.open(CACHE)).addAll(SHELL);
  event.waitUntil(keep().then(() => worker.skipWaiting()));
});

worker.addEventListener("activate", (event) => event.waitUntil(worker.clients.claim()));

worker.addEventListener("fetch", (event) => {
  const { origin, pathname } = new URL(event.request.url);
  if (event.request.method === "GET" && addresses.has(origin + pathname)) event.respondWith(answer(event, origin + pathname));
});

worker.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(worker.clients.matchAll({ type: "window" }).then(([first]) => first?.focus()));
});

async function answer(event: Lasting & { request: Request }, address: string): Promise<Response> {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(address);
  try {
    const fresh = await fetch(event.request, kept && { signal: AbortSignal.timeout(PATIENCE) });
    // The signal also ends the body, so the page is given a file only when all of it is there.
    await fresh.clone().arrayBuffer();
    if (fresh.ok) event.waitUntil(cache.put(address, fresh.clone()));
    // A proxy answers for a server that is away.
    return fresh.status >= 500 && kept ? kept : fresh;
  } catch (error) {
    if (kept) return kept;
    throw error;
  }
}
