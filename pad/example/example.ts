import { CallState, connect } from "@ringpad/pad";

const caller = document.getElementById("caller") as HTMLElement;
const take = document.getElementById("take") as HTMLButtonElement;
const token = async () => new URLSearchParams(location.search).get("token") ?? "";
const pad = connect({ url: location.origin, token, onSnapshot() {}, onState() {}, onCall({ call }) {
  caller.textContent = `${call.caller?.display} ${call.claim ? `(${call.claim.padName})` : ""}`;
  take.hidden = call.state !== CallState.RINGING || call.claim !== undefined;
  take.onclick = () => pad.claim(call.id);
} });
