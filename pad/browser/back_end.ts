// An adopter's own back end, on a host of its own: where pads get their next token (PAD_TOKEN_URL).

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** Gives `token` to every page that asks. */
export class BackEnd {
  readonly #server: Server;
  /** What it gives; nobody is let in while it is empty. */
  token = "";
  /** How often it was asked. */
  asked = 0;

  constructor() {
    this.#server = createServer(({ headers }, response) => {
      this.asked += 1;
      const allowed = { "access-control-allow-origin": headers.origin ?? "", "access-control-allow-credentials": "true" };
      response.writeHead(this.token === "" ? 401 : 200, allowed).end(this.token);
    });
  }

  /** Its token URL. */
  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/pad-token`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
