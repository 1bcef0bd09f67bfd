// Streams over gRPC-Web: binary, with fetch, so that each message is delivered when it arrives.

import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { PadService } from "../gen/ringpad/v1/pad_pb.ts";
import type { StreamEnd, StreamHandlers, Transport } from "./transport.ts";

const ENDS: Partial<Record<Code, StreamEnd>> = {
  [Code.Unauthenticated]: "unauthenticated",
  [Code.PermissionDenied]: "forbidden",
  [Code.NotFound]: "no-store",
  [Code.Aborted]: "replaced",
  [Code.ResourceExhausted]: "unavailable",
  [Code.Unavailable]: "unavailable",
};

/** What a stream's error means for the client; every status that the contract does not name is a broken connection. */
export function endOfGrpc(error: unknown): StreamEnd {
  return ENDS[ConnectError.from(error).code] ?? "network";
}

/** `fetch` that calls `count` with the bytes of each part of the answer's body. */
export function countingFetch(count: (bytes: number) => void): typeof fetch {
  return async (input, init) => {
    const response = await fetch(input, init);
    if (!response.body) return response;
    const counter = new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        count(chunk.byteLength);
        controller.enqueue(chunk);
      },
    });
    return new Response(response.body.pipeThrough(counter), response);
  };
}

/** A transport to the PadService at `url`. */
export function grpcWeb(url: string): Transport {
  return {
    name: "grpc-web",
    open(request, token, handlers) {
      let received = 0;
      // A client for each stream, because each counts its own bytes.
      const counting = countingFetch((bytes) => (received += bytes));
      const options = { baseUrl: url, useBinaryFormat: true, fetch: counting };
      const client = createClient(PadService, createGrpcWebTransport(options));
      const abort = new AbortController();
      const read = async (): Promise<StreamEnd> => {
        try {
          const headers = { authorization: `Bearer ${token}` };
          for await (const response of client.subscribe(request, { headers, signal: abort.signal })) {
            if (abort.signal.aborted) break;
            handlers.message(response);
          }
          return "unavailable";
        } catch (error) {
          return endOfGrpc(error);
        }
      };
      void deliverEnd(read(), abort.signal, handlers);
      return {
        get received() {
          return received;
        },
        close: () => abort.abort(),
      };
    },
  };
}

async function deliverEnd(ended: Promise<StreamEnd>, signal: AbortSignal, handlers: StreamHandlers): Promise<void> {
  const end = await ended;
  if (!signal.aborted) handlers.end(end);
}
