// Why an action was not done: five kinds, for each of which a page does something else.

import { Code, ConnectError } from "@connectrpc/connect";
import { ClaimSchema, type Claim } from "../gen/ringpad/v1/call_pb.ts";
import { NoToken } from "./tokens.ts";

/** What went wrong. */
export type ActionFailure =
  /** Another pad has claimed the call. */
  | "claimed"
  /** The store does not have this call (any more). */
  | "not-found"
  /** The server will always refuse it: the request is faulty, the pad has no right to it, or the server is too old. */
  | "refused"
  /** There is no token, or the server refuses it, e.g. because it has expired. With another one the action may succeed. */
  | "no-token"
  /** No answer came in time. The action may have been done: then an update shows it. */
  | "offline";

/** Every action rejects with this. */
export class ActionError extends Error {
  override name = "ActionError";
  readonly kind: ActionFailure;
  /** The other pad's claim, if `kind` is `claimed` and the server's error has it. */
  readonly claim: Claim | undefined;

  constructor(kind: ActionFailure, message: string, options: { cause?: unknown; claim?: Claim | undefined } = {}) {
    super(message, { cause: options.cause });
    this.kind = kind;
    this.claim = options.claim;
  }
}

/** Answers of the server itself. All other errors come from the network or a proxy, and the action is tried again. */
const ANSWERS: Partial<Record<Code, ActionFailure>> = {
  [Code.FailedPrecondition]: "claimed",
  [Code.NotFound]: "not-found",
  [Code.InvalidArgument]: "refused",
  [Code.PermissionDenied]: "refused",
  [Code.Unauthenticated]: "no-token",
  [Code.Unimplemented]: "refused",
  [Code.AlreadyExists]: "refused",
  [Code.OutOfRange]: "refused",
};

/** The error of an attempt, as an {@link ActionError}. */
export function actionErrorOf(cause: unknown): ActionError {
  if (cause instanceof ActionError) return cause;
  if (cause instanceof NoToken) return new ActionError("no-token", cause.message, { cause });
  const error = ConnectError.from(cause);
  const kind = ANSWERS[error.code] ?? "offline";
  const claim = kind === "claimed" ? error.findDetails(ClaimSchema)[0] : undefined;
  return new ActionError(kind, error.rawMessage, { cause, claim });
}
