// The code of a tablet that is not registered yet, over the whole screen: for people to type, and as a QR code for a registered
// tablet's camera.

import { byId, setHidden, setText } from "./dom.ts";
import type { PairingState } from "./pairing.ts";
import { qrCode } from "./qr.ts";
import { text } from "./text.ts";

/** Updates what is shown. */
export function showPairing(state: PairingState | undefined): void {
  const code = state?.kind === "code" ? state.code : "";
  setHidden(byId("pairing"), code === "");
  const box = byId("pairing-code");
  if (box.textContent === spaced(code)) return;
  setText(box, spaced(code));
  const address = `${location.origin}${location.pathname}#pair=${code}`;
  byId("pairing-qr").replaceChildren(...(code === "" ? [] : [qrCode(address, text.pairingCode)]));
}

/** What is to be done; empty where this server does not pair tablets. `approves`: the page was opened with another tablet's code. */
export function pairingWords(state: PairingState | undefined, approves: boolean): string {
  if (!state || state.kind === "unavailable") return "";
  return approves ? `${text.cannotApprove} ${text.pairing[state.kind]}` : text.pairing[state.kind];
}

/** `123 456`. */
function spaced(code: string): string {
  return code.replace(/^(\d{3})(\d{3})$/, "$1 $2");
}
