// The fake server's pairing: codes that a test, or a pad, approves.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  ApprovePairingRequestSchema,
  ApprovePairingResponseSchema,
  BeginResponseSchema,
  IssueTokenRequestSchema,
  IssueTokenResponseSchema,
  PollRequestSchema,
  PollResponseSchema,
} from "../src/gen/ringpad/v1/pairing_pb.ts";
import { padToken, Refusal } from "./fake_actions.ts";

const NOT_FOUND = 5;
const UNIMPLEMENTED = 12;
const UNAUTHENTICATED = 16;

interface Tablet {
  code: string;
  /** Once it was approved. */
  name?: string;
  expired?: boolean;
}

/** Answers PairingService. */
export class FakePairing {
  /** By their credentials. */
  readonly tablets = new Map<string, Tablet>();
  /** False: as a server without it. */
  enabled = false;
  /** Answers this method with a gRPC status. */
  readonly refuse = new Map<string, number>();
  /** Tokens that were issued. */
  issued = 0;

  /** The code that was shown last. */
  get code(): string {
    return [...this.tablets.values()].at(-1)?.code ?? "";
  }

  approve(code: string, name: string): void {
    const tablet = [...this.tablets.values()].find((it) => it.code === code && !it.expired);
    if (!tablet) throw new Refusal(NOT_FOUND, "no tablet shows this code");
    tablet.name = name;
  }

  /** The codes that are shown have expired. */
  expire(): void {
    for (const tablet of this.tablets.values()) tablet.expired ||= tablet.name === undefined;
  }

  /** The answer's bytes; throws a {@link Refusal}. */
  answer(method: string, body: Uint8Array): Uint8Array {
    const refused = this.enabled ? this.refuse.get(method) : UNIMPLEMENTED;
    if (refused !== undefined) throw new Refusal(refused, "refused");
    switch (method) {
      case "Begin": {
        const code = String(123_450 + this.tablets.size);
        const credential = `credential-${this.tablets.size}`;
        this.tablets.set(credential, { code });
        const times = { expiresAfter: durationFromMs(600_000), pollInterval: durationFromMs(1_000) };
        return toBinary(BeginResponseSchema, create(BeginResponseSchema, { credential, code, ...times }));
      }
      case "Poll": {
        const { credential } = fromBinary(PollRequestSchema, body);
        const tablet = this.tablets.get(credential);
        if (!tablet || tablet.expired) throw new Refusal(NOT_FOUND, "the code has expired");
        const pad = tablet.name === undefined ? {} : { pad: { id: credential, name: tablet.name } };
        return toBinary(PollResponseSchema, create(PollResponseSchema, pad));
      }
      case "IssueToken": {
        const { credential } = fromBinary(IssueTokenRequestSchema, body);
        const name = this.tablets.get(credential)?.name;
        if (name === undefined) throw new Refusal(UNAUTHENTICATED, "revoked");
        this.issued += 1;
        return toBinary(IssueTokenResponseSchema, create(IssueTokenResponseSchema, { token: padToken(credential, name) }));
      }
      case "ApprovePairing": {
        const { code, name } = fromBinary(ApprovePairingRequestSchema, body);
        this.approve(code.replaceAll(/[\s-]/g, ""), name);
        return toBinary(ApprovePairingResponseSchema, create(ApprovePairingResponseSchema, { pad: { id: "p", name } }));
      }
      default:
        throw new Refusal(UNIMPLEMENTED, method);
    }
  }
}
