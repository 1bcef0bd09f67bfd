// A system notification of a ring while the page is hidden: one for each call, also if several tabs are open on the tablet.

/** Milliseconds for which a tab keeps the call's lock: others that hear of the ring later do not notify again. */
const HELD = 30_000;

/** Whether the browser allows notifications now: users can take that back in the browser. */
export function notificationsAllowed(): boolean {
  return typeof Notification !== "undefined" && Notification.permission === "granted";
}

/** Whether the browser allows notifications; asks the user, in a tap. */
export async function allowNotifications(): Promise<boolean> {
  return typeof Notification !== "undefined" && (await Notification.requestPermission()) === "granted";
}

/** Notifies about a call, in words without a number, since a locked screen shows them; unless another tab has. The tab that is visible shows the call itself, and takes the lock as well. */
export function notifyOnce(id: string, title: string, body: string): void {
  if (!notificationsAllowed()) return;
  const notify = async (lock: unknown): Promise<void> => {
    if (!lock) return;
    if (document.hidden) await show(title, { body, tag: id });
    await new Promise((resolve) => setTimeout(resolve, HELD));
  };
  if (!navigator.locks) return void notify(true);
  navigator.locks.request(`ringpad.ring.${id}`, { ifAvailable: true }, notify).catch(() => {
    // The browser is closing the page, or does not allow notifications here.
  });
}

/** Chrome on Android allows them only through a service worker. */
async function show(title: string, options: NotificationOptions): Promise<void> {
  const worker = await navigator.serviceWorker?.getRegistration();
  if (worker) return await worker.showNotification(title, options);
  const shown = new Notification(title, options);
  shown.addEventListener("click", () => (window.focus(), shown.close()));
}
