// A proxy that buffers, as some shops have: it holds streamed responses back until they end, which a pad's never do.
// WebSockets pass.

import { createServer, request as forward, type Server } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";

const STREAM = "/ringpad.v1.PadService/Subscribe";

/** Holds back gRPC-Web streams to `target` (`http://127.0.0.1:8081`). */
export class BufferingProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Streams held back so far. */
  swallowed = 0;

  constructor(target: string) {
    const { hostname, port } = new URL(target);
    this.#server = createServer((incoming, outgoing) => {
      const { method, url: path, headers } = incoming;
      const onward = forward({ hostname, port, method, path, headers }, (answer) => {
        if (path === STREAM) {
          this.swallowed += 1;
          answer.resume();
          return;
        }
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      });
      onward.on("error", () => outgoing.destroy());
      outgoing.on("close", () => onward.destroy());
      incoming.pipe(onward);
    });
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    this.#server.on("upgrade", (incoming, socket, head) => {
      const onward = connect(Number(port), hostname, () => {
        const lines = [`${incoming.method} ${incoming.url} HTTP/1.1`];
        for (let i = 0; i < incoming.rawHeaders.length; i += 2) {
          lines.push(`${incoming.rawHeaders[i]}: ${incoming.rawHeaders[i + 1]}`);
        }
        onward.write(`${lines.join("\r\n")}\r\n\r\n`);
        onward.write(head);
        socket.pipe(onward).pipe(socket);
      });
      onward.on("error", () => socket.destroy());
      socket.on("error", () => onward.destroy());
      socket.on("close", () => onward.destroy());
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    // Upgraded ones too, which the server no longer counts as its own.
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
