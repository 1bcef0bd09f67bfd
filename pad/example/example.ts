import { connect, NoToken, type ActionError, type Call, type ConnectionState } from "@ringpad/pad";

const show = (id: string, ...what: (Node | string)[]) => document.getElementById(id)?.replaceChildren(...what);
const refused = ({ status }: Response) => Promise.reject(status === 401 ? new NoToken("log in") : new Error(`${status}`));
const token = () => fetch("/pad-token").then((answer) => (answer.ok ? answer.text() : refused(answer)));
const take = (id: string) => pad.claim(id).catch(({ claim, message }: ActionError) => show("words", claim?.padName ?? message));
const button = ({ id, caller }: Call) =>
  Object.assign(document.createElement("button"), { textContent: `${caller?.display} 내가 응대`, onclick: () => take(id) });
const onRinging = (calls: Call[]) => show("ringing", ...calls.map(button));
const onState = ({ kind }: ConnectionState) => show("state", kind);
const pad = connect({ url: "https://pads.example.com", token, onRinging, onState });
