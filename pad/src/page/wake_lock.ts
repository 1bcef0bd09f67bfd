// Keeps the screen on while the page is visible. Browsers release the lock when it is hidden, so it is requested again each
// time; without a lock (an old browser, plain HTTP, a low battery) the tablet's own setting applies.

export function keepScreenOn(): void {
  const ask = () => {
    if (document.visibilityState !== "visible" || !("wakeLock" in navigator)) return;
    navigator.wakeLock.request("screen").catch(() => {});
  };
  document.addEventListener("visibilitychange", ask);
  ask();
}
