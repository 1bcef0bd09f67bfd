// Replacements of time and the network for the client's tests.

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Connection } from "../src/client/connection.ts";
import type { CallEvent, ConnectionListener, ConnectionState } from "../src/client/listener.ts";
import type { Clock, Timer } from "../src/client/clock.ts";
import { notifyBoth, Ringing } from "../src/client/ringing.ts";
import type { StreamEnd, StreamHandlers, Transport, TransportName } from "../src/client/transport.ts";
import { Tokens, type TokenSource } from "../src/client/tokens.ts";
import { TransportChoice, type Memory } from "../src/client/transport_choice.ts";
import { CallState } from "../src/gen/ringpad/v1/call_pb.ts";
import { SubscribeResponseSchema, type SnapshotSchema, type SubscribeRequest } from "../src/gen/ringpad/v1/pad_pb.ts";

/** A clock that runs only when a test advances it. */
export class FakeClock implements Clock {
  #now = 1_000;
  /** Wall clock minus monotonic clock. */
  slept = 0;
  #timers: { at: number; run: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  wall(): number {
    return this.#now + this.slept;
  }

  after(milliseconds: number, run: () => void): Timer {
    // A browser would run it immediately.
    if (milliseconds >= 2 ** 31) throw new Error(`a timer overflows: ${milliseconds} ms`);
    const timer = { at: this.#now + milliseconds, run };
    this.#timers.push(timer);
    return { cancel: () => void (this.#timers = this.#timers.filter((other) => other !== timer)) };
  }

  /** When the next timer fires, from now; undefined if none is set. */
  get nextIn(): number | undefined {
    return this.#timers.length === 0 ? undefined : Math.min(...this.#timers.map(({ at }) => at)) - this.#now;
  }

  async advance(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds;
    for (;;) {
      const due = this.#timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.#now = due.at;
      this.#timers = this.#timers.filter((timer) => timer !== due);
      due.run();
      await settle();
    }
    this.#now = end;
    await settle();
  }
}

/** Lets pending promises continue. */
export async function settle(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
}

/** One stream that the client opened, with the test as its server. */
export class FakeStream {
  closed = false;
  received = 0;
  readonly transport: TransportName;
  readonly request: SubscribeRequest;
  readonly token: string;
  readonly #handlers: StreamHandlers;
  readonly #serverNow: () => number;

  constructor(
    transport: TransportName,
    request: SubscribeRequest,
    token: string,
    handlers: StreamHandlers,
    serverNow: () => number,
  ) {
    this.transport = transport;
    this.request = request;
    this.token = token;
    this.#handlers = handlers;
    this.#serverNow = serverNow;
  }

  send(event: MessageInitShape<typeof SubscribeResponseSchema>["event"] & object): void {
    if (!this.closed) this.#handlers.message(create(SubscribeResponseSchema, { event }));
  }

  snapshot(value: MessageInitShape<typeof SnapshotSchema>): void {
    const serverTime = timestampFromMs(this.#serverNow());
    const base = { serverTime, heartbeatInterval: { seconds: 5n }, store: { id: "s", name: "강남 세차장" } };
    this.send({ case: "snapshot", value: { ...base, epoch: "e1", ...value } as MessageInitShape<typeof SnapshotSchema> });
  }

  heartbeat(position: bigint): void {
    this.send({ case: "heartbeat", value: { serverTime: timestampFromMs(this.#serverNow()), position } });
  }

  update(position: bigint): void {
    const call = { id: `call-${position}`, revision: position, state: CallState.RINGING };
    this.send({ case: "update", value: { position, call } });
  }

  /** A ring that began now, and pops for so many milliseconds. */
  ring(position: bigint, milliseconds: number): void {
    const popUntil = timestampFromMs(this.#serverNow() + milliseconds);
    const call = { id: `call-${position}`, revision: position, state: CallState.RINGING, popUntil };
    this.send({ case: "update", value: { position, call, popUntil } });
  }

  close(): void {
    this.closed = true;
  }

  end(reason: StreamEnd): void {
    if (this.closed) return;
    this.closed = true;
    this.#handlers.end(reason);
  }
}

/** The server's time when a test begins. */
export const SERVER_EPOCH = Date.parse("2025-11-23T05:00:00Z");

/** A token with these claims. */
export const jwt = (claims: object) => `h.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.s`;

/** A token that expires so many seconds after a test begins. */
export const jwtFor = (seconds: number) => jwt({ sub: "p1", exp: SERVER_EPOCH / 1_000 + seconds });

/** A connection with everything around it faked. */
export class Rig {
  readonly clock = new FakeClock();
  readonly streams: FakeStream[] = [];
  readonly states: ConnectionState["kind"][] = [];
  readonly events: CallEvent[] = [];
  readonly snapshots: bigint[] = [];
  /** The ids of each reported list of ringing calls. */
  readonly ringing: string[] = [];
  readonly connection: Connection;
  /** What the server's clock has more than the monotonic one, since a sleep. */
  serverSlept = 0;
  /** What `random` gives: the longest wait, unless a test wants another. */
  random = 1;
  asked: (string | undefined)[] = [];
  /** What the listener does in addition to recording. */
  onState: (kind: ConnectionState["kind"]) => void = () => {};
  onSnapshot: () => void = () => {};
  /** What opening a stream throws. */
  refuses: Error | undefined;

  constructor(parts: { token?: TokenSource; memory?: Memory } = {}) {
    const began = this.clock.now();
    const transport = (name: TransportName): Transport => ({
      name,
      open: (request, token, handlers) => {
        if (this.refuses) throw this.refuses;
        const stream = new FakeStream(name, request, token, handlers, () => SERVER_EPOCH + this.clock.now() - began + this.serverSlept);
        this.streams.push(stream);
        return stream;
      },
    });
    const token = parts.token ?? (() => Promise.resolve("token"));
    const transports = { "grpc-web": transport("grpc-web"), websocket: transport("websocket") };
    const ringing = new Ringing({
      clock: this.clock,
      serverNow: () => this.connection.serverNow(),
      onRinging: (calls) => this.ringing.push(calls.map(({ id }) => id).join(" ")),
    });
    const listener: ConnectionListener = {
      onSnapshot: ({ position }) => {
        this.snapshots.push(position);
        this.onSnapshot();
      },
      onCall: (event) => this.events.push(event),
      onState: ({ kind }) => {
        this.states.push(kind);
        this.onState(kind);
      },
    };
    this.connection = new Connection({
      transports: new TransportChoice(transports, parts.memory, this.clock),
      tokens: new Tokens((refused) => {
        this.asked.push(refused);
        return token(refused);
      }),
      session: "session-1",
      clock: this.clock,
      random: () => this.random,
      listener: notifyBoth(listener, ringing),
    });
  }

  /** Starts, and gives the first stream. */
  async start(): Promise<FakeStream> {
    this.connection.start();
    await settle();
    return this.last();
  }

  /** Starts and connects at a position. */
  async connected(position: bigint): Promise<FakeStream> {
    const stream = await this.start();
    stream.snapshot({ position });
    stream.heartbeat(position);
    return stream;
  }

  /** Lets time pass with a stream that sends heartbeats. */
  async live(stream: FakeStream, milliseconds: number): Promise<void> {
    const position = stream.request.afterPosition ?? this.snapshots.at(-1) ?? 0n;
    for (let left = milliseconds; left > 0; left -= 10_000) {
      await this.clock.advance(Math.min(left, 10_000));
      stream.heartbeat(position);
    }
    await settle();
  }

  /** The last stream continues where the one before was. */
  resume(): FakeStream {
    const stream = this.last();
    const position = stream.request.afterPosition ?? 0n;
    stream.snapshot({ position, resumed: true });
    stream.heartbeat(position);
    return stream;
  }

  last(): FakeStream {
    const stream = this.streams.at(-1);
    if (!stream) throw new Error("no stream was opened");
    return stream;
  }

  /** The delivered positions, in order. */
  get positions(): bigint[] {
    return this.events.flatMap(({ position }) => (position === undefined ? [] : [position]));
  }

  get open(): FakeStream[] {
    return this.streams.filter(({ closed }) => !closed);
  }

  get state(): ConnectionState["kind"] | undefined {
    return this.states.at(-1);
  }
}

/** `sessionStorage` for one test. */
export function fakeMemory(): Memory {
  const items = new Map<string, string>();
  return {
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => void items.set(key, value),
    removeItem: (key) => void items.delete(key),
  };
}
