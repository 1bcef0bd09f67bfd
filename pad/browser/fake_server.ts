// A push-svc for tests of the page alone: serves dist/ as push-svc does, and streams a test's events over gRPC-Web.

import { create, fromBinary, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, TimestampSchema, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { CallSchema, CallState, CallerKind } from "../src/gen/ringpad/v1/call_pb.ts";
import { FakePairing } from "./fake_pairing.ts";
import { FakeActions, isOpen, Refusal } from "./fake_actions.ts";
import { SubscribeRequestSchema, SubscribeResponseSchema, type SubscribeRequest } from "../src/gen/ringpad/v1/pad_pb.ts";

const TYPES: Record<string, string> = {
  "index.html": "text/html; charset=utf-8",
  "pad.js": "text/javascript; charset=utf-8",
  "example.js": "text/javascript; charset=utf-8",
  "sw.js": "text/javascript; charset=utf-8",
  "pad.css": "text/css; charset=utf-8",
  "icon.svg": "image/svg+xml",
  "icon-192.png": "image/png",
  "icon-512.png": "image/png",
  "icon-maskable.png": "image/png",
  "manifest.webmanifest": "application/manifest+json",
};
/** The strictest Content-Security-Policy with which the page must work. */
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; " +
  "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";
const HEARTBEAT = 1_000;
const UNAUTHENTICATED = 16;
/** How long a popup is shown, by default. */
const POPUP_TTL = 30_000;

type Event = MessageInitShape<typeof SubscribeResponseSchema>["event"] & object;
type CallInit = MessageInitShape<typeof CallSchema>;

/** A call as tests write it. */
export type RingInit = CallInit & { id: string };

/** An open stream of the page, with its request. */
interface Subscriber {
  request: SubscribeRequest;
  token: string;
  response: ServerResponse;
}

/** The fake. One store, one log. */
export class FakeServer {
  readonly #server: Server;
  readonly #subscribers = new Set<Subscriber>();
  readonly #log: Event[] = [];
  readonly #calls = new Map<string, CallInit>();
  readonly #tokenUrl: string;
  /** The pads' actions. */
  readonly actions = new FakeActions({
    get: (id) => this.#calls.get(id),
    all: () => [...this.#calls.values()],
    update: (call) => this.update(call),
  });
  /** How tablets are paired; not at all by default. */
  readonly pairing = new FakePairing();
  /** Files that replace those of dist/, or are served in addition. */
  readonly files = new Map<string, Uint8Array>();
  /** Actions are answered after this promise. */
  actionsWait: Promise<void> = Promise.resolve();
  /** How many closed or ended calls a snapshot has at most. */
  snapshotHas = Infinity;
  /** Loses the answers of so many actions, after they were done. */
  loseAnswers = 0;
  /** Every Subscribe so far. */
  readonly requests: { request: SubscribeRequest; token: string }[] = [];
  /** Answers Subscribe with this gRPC status instead of a stream; if it is about the token, all other requests as well. */
  refuseWith: number | undefined;
  /** Breaks every connection. */
  away = false;
  /** Where the answers with the page's files stop; they do not end. */
  filesHang: "before the headers" | "before the body" | undefined;
  /** Milliseconds that snapshots give as the heartbeat interval. Heartbeats come every second all the same. */
  heartbeatInterval = HEARTBEAT;

  constructor(tokenUrl = "") {
    this.#tokenUrl = tokenUrl;
    this.#server = createServer((request, response) => this.#serve(request, response));
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.cut();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Forgets all calls and positions: for the next page of the same test. */
  forget(): void {
    this.cut();
    this.#calls.clear();
    this.#log.length = 0;
  }

  /** The newest version of a call. */
  call(id: string): CallInit | undefined {
    return this.#calls.get(id);
  }

  /** Breaks the open streams. */
  cut(): void {
    for (const { response } of this.#subscribers) response.destroy();
  }

  /** Sends a call's newest version to every stream; with `popFor` (ms) it pops up. */
  update(call: RingInit, popFor?: number): void {
    const position = BigInt(this.#log.length + 1);
    // An action's call is complete: missing fields are removed.
    const before = "$typeName" in call ? {} : (this.#calls.get(call.id) ?? {});
    const popUntil = popFor === undefined ? {} : { popUntil: timestampFromMs(Date.now() + popFor) };
    const whole = { ...before, ...call, ...popUntil, revision: position } as CallInit;
    // Only a ringing call has it.
    if (whole.state !== CallState.RINGING) delete whole.popUntil;
    this.#calls.set(call.id, whole);
    const event: Event = { case: "update", value: { position, call: whole, ...popUntil } };
    this.#log.push(event);
    for (const { response } of this.#subscribers) send(response, event);
  }

  /** Stores a call without an update: it is in the next snapshot. */
  store(call: RingInit): void {
    const rings = call.state === CallState.RINGING && call.startedAt !== undefined;
    const popUntil = rings ? { popUntil: timestampFromMs(timestampMs(create(TimestampSchema, call.startedAt)) + POPUP_TTL) } : {};
    this.#calls.set(call.id, { ...popUntil, ...call });
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    if (this.away) return void request.socket.destroy();
    const path = new URL(request.url ?? "/", "http://x").pathname;
    if (path === "/ringpad.v1.PadService/Subscribe") return void this.#subscribe(request, response);
    const [, service = "", method] = /^\/ringpad\.v1\.(PadService|PairingService)\/(\w+)$/.exec(path) ?? [];
    if (method) return void this.#act(service, method, request, response);
    if (path === this.#tokenUrl && path !== "") return void response.end("a.b.fresh");
    this.#page(path === "/" ? "index.html" : path.slice(1), response);
  }

  #page(name: string, response: ServerResponse): void {
    const type = TYPES[name];
    if (!type) return void response.writeHead(404).end();
    if (this.filesHang === "before the headers") return;
    response.writeHead(200, { "content-type": type, "content-security-policy": CSP });
    if (this.filesHang === "before the body") return void response.flushHeaders();
    const placeholder = '<meta name="ringpad-token-url" content="">';
    const filled = placeholder.replace('content=""', `content="${this.#tokenUrl}"`);
    const file = Buffer.from(this.files.get(name) ?? readFileSync(join("dist", name)));
    response.end(name === "index.html" ? file.toString().replace(placeholder, filled) : file);
  }

  async #act(service: string, method: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await messageOf(request);
    await this.actionsWait;
    const frames = [];
    const trailers = [];
    try {
      if (this.refuseWith === UNAUTHENTICATED && service === "PadService") throw new Refusal(UNAUTHENTICATED, "the token has expired");
      const answer = service === "PadService" ? this.actions.answer(method, body, tokenOf(request)) : this.pairing.answer(method, body);
      frames.push(frame(0, answer));
      trailers.push("grpc-status: 0");
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      trailers.push(`grpc-status: ${error.status}`, `grpc-message: ${encodeURIComponent(error.message)}`);
      if (error.details) trailers.push(`grpc-status-details-bin: ${Buffer.from(error.details).toString("base64")}`);
    }
    if (this.loseAnswers > 0 && !method.startsWith("List")) {
      this.loseAnswers -= 1;
      return void request.socket.destroy();
    }
    response.writeHead(200, { "content-type": "application/grpc-web+proto" });
    response.end(Buffer.concat([...frames, frame(0x80, Buffer.from(`${trailers.join("\r\n")}\r\n`))]));
  }

  async #subscribe(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const asked = fromBinary(SubscribeRequestSchema, await messageOf(request));
    const token = tokenOf(request);
    this.requests.push({ request: asked, token });
    response.writeHead(200, { "content-type": "application/grpc-web+proto" });
    if (this.refuseWith !== undefined) return void response.end(frame(0x80, Buffer.from(`grpc-status: ${this.refuseWith}\r\n`)));
    this.#stream({ request: asked, token, response });
  }

  #stream(subscriber: Subscriber): void {
    const { request, response } = subscriber;
    const resumed = request.afterPosition !== undefined;
    const position = resumed ? Number(request.afterPosition) : this.#log.length;
    const calls = resumed ? [] : [...this.#calls.values()];
    send(response, {
      case: "snapshot",
      value: {
        ...now(),
        heartbeatInterval: durationFromMs(this.heartbeatInterval),
        store: { id: "gangnam", name: "반짝 손세차 강남점" },
        position: BigInt(position),
        epoch: "e1",
        resumed,
        openCalls: calls.filter(isOpen),
        recentCalls: calls.filter((call) => !isOpen(call)).sort(newestFirst).slice(0, this.snapshotHas),
      },
    });
    for (const event of this.#log.slice(position)) send(response, event);
    const beat = () => send(response, { case: "heartbeat", value: { ...now(), position: BigInt(this.#log.length) } });
    beat();
    const timer = setInterval(beat, HEARTBEAT);
    this.#subscribers.add(subscriber);
    response.on("close", () => {
      clearInterval(timer);
      this.#subscribers.delete(subscriber);
    });
  }
}

async function messageOf(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).subarray(5);
}

function tokenOf({ headers }: IncomingMessage): string {
  return (headers.authorization ?? "").replace("Bearer ", "");
}

const now = () => ({ serverTime: timestampFromMs(Date.now()) });

function send(response: ServerResponse, event: Event): void {
  response.write(frame(0, toBinary(SubscribeResponseSchema, create(SubscribeResponseSchema, { event }))));
}

function frame(flag: number, bytes: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flag, 0);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

function newestFirst(a: CallInit, b: CallInit): number {
  return Number((b.startedAt?.seconds ?? 0n) - (a.startedAt?.seconds ?? 0n));
}

/** A ringing call of a numbered caller, begun `ago` ms ago. */
export function ring(id: string, display: string, ago: number, more: Partial<CallInit> = {}): RingInit {
  const number = `+82${display.replaceAll("-", "").slice(1)}`;
  return {
    id,
    state: CallState.RINGING,
    caller: { number, display, kind: CallerKind.NUMBER },
    virtualNumber: "0507-1234-5678",
    startedAt: timestampFromMs(Date.now() - ago),
    history: {},
    ...more,
  } as RingInit;
}
