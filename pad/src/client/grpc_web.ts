// Streams over gRPC-Web: binary, on fetch, so that a message is handed on when it arrives and nothing piles up.

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

/** What a stream's error means to us; anything the contract does not name counts as a broken connection. */
export function endOfGrpc(error: unknown): StreamEnd {
  return ENDS[ConnectError.from(error).code] ?? "network";
}

/** A transport to the PadService at `url`. */
export function grpcWeb(url: string): Transport {
  const client = createClient(PadService, createGrpcWebTransport({ baseUrl: url, useBinaryFormat: true }));
  return {
    name: "grpc-web",
    open(request, token, handlers) {
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
      return { close: () => abort.abort() };
    },
  };
}

async function deliverEnd(ended: Promise<StreamEnd>, signal: AbortSignal, handlers: StreamHandlers): Promise<void> {
  const end = await ended;
  if (!signal.aborted) handlers.end(end);
}
