// The screen stays on while the page is shown. Browsers take the lock away when it is hidden, so it is asked for again
// each time; where there is none (an old browser, plain HTTP, a low battery), the tablet's own setting holds.

export function keepScreenOn(): void {
  const ask = () => {
    if (document.visibilityState !== "visible" || !("wakeLock" in navigator)) return;
    navigator.wakeLock.request("screen").catch(() => {});
  };
  document.addEventListener("visibilitychange", ask);
  ask();
}
