// Registers the service worker, with which the page opens without the server.

const WORKER = "sw.js";

interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): string };
}

/** Without HTTPS, and where the browser does not allow it, the page works as well, but does not open without the server. */
export function keepShell(): void {
  const { trustedTypes } = globalThis as { trustedTypes?: TrustedTypes };
  // A Content-Security-Policy may ask for it; the address is constant.
  const policy = trustedTypes?.createPolicy("ringpad", { createScriptURL: () => WORKER });
  navigator.serviceWorker?.register(policy?.createScriptURL(WORKER) ?? WORKER).catch((error: unknown) => console.warn(error));
}
