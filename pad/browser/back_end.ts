// An adopter's own back end, on its own host: for the login, for the pads' next token
// (PAD_TOKEN_URL), and for the adopter's own pages.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { BrowserContext } from "playwright-core";

const TOKEN_PATH = "/pad-token";
const LOGGED_IN = { name: "shop-session", value: "8f1c2d" };

/** Gives `token` to the pages of logged-in users. */
export class BackEnd {
  readonly #server: Server;
  readonly #host: string;
  /** The token; while it is empty every request is refused. */
  token = "";
  /** How often it was asked. */
  asked = 0;
  /** Pages and scripts, by path. */
  readonly files = new Map<string, string>();
  /** The Content-Security-Policy of its pages. */
  policy = "default-src 'none'";

  /** `host` is the name in the browser's address. */
  constructor(host = "127.0.0.1") {
    this.#host = host;
    this.#server = createServer((request, response) => {
      if (request.url === TOKEN_PATH) this.#giveToken(request, response);
      else this.#giveFile(request.url ?? "/", response);
    });
  }

  /** Its token URL. */
  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return this.origin + TOKEN_PATH;
  }

  get origin(): string {
    return `http://${this.#host}:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Gives this browser the cookie that is needed for a token. */
  async logIn(context: BrowserContext): Promise<void> {
    await context.addCookies([{ ...LOGGED_IN, url: this.origin }]);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #giveToken({ headers }: IncomingMessage, response: ServerResponse): void {
    this.asked += 1;
    const known = (headers.cookie ?? "").split("; ").includes(`${LOGGED_IN.name}=${LOGGED_IN.value}`);
    const allowed = { "access-control-allow-origin": headers.origin ?? "", "access-control-allow-credentials": "true" };
    if (known && this.token !== "") response.writeHead(200, allowed).end(this.token);
    else response.writeHead(401, allowed).end("log in");
  }

  #giveFile(path: string, response: ServerResponse): void {
    const file = this.files.get(path);
    const type = path.endsWith(".js") ? "text/javascript" : "text/html";
    const headers = { "content-type": `${type}; charset=utf-8`, "content-security-policy": this.policy };
    if (file === undefined) response.writeHead(404).end();
    else response.writeHead(200, headers).end(file);
  }
}
