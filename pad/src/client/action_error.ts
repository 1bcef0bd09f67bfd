// Why an action did not happen, in the five ways that a page can do something about.

import { Code, ConnectError } from "@connectrpc/connect";
import { ClaimSchema, type Claim } from "../gen/ringpad/v1/call_pb.ts";
import { NoToken } from "./tokens.ts";

/** What went wrong. */
export type ActionFailure =
  /** Another pad holds the call. */
  | "claimed"
  /** The store has no such call (any more). */
  | "not-found"
  /** The server will not, however often it is asked: the request, the pad's rights, or an older server. */
  | "refused"
  /** There is no token, or the server does not take it, e.g. since it has expired. With another one it may be done. */
  | "no-token"
  /** No answer came in time. It may have happened all the same: then an update will say so. */
  | "offline";

/** What an action rejects with. */
export class ActionError extends Error {
  override name = "ActionError";
  readonly kind: ActionFailure;
  /** Who holds the call, if `kind` is `claimed` and the server said it in a form that programs read. */
  readonly claim: Claim | undefined;

  constructor(kind: ActionFailure, message: string, options: { cause?: unknown; claim?: Claim | undefined } = {}) {
    super(message, { cause: options.cause });
    this.kind = kind;
    this.claim = options.claim;
  }
}

/** Answers of the server itself. Whatever is not here happened on the way and is worth another try. */
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

/** What an attempt's error means. */
export function actionErrorOf(cause: unknown): ActionError {
  if (cause instanceof ActionError) return cause;
  if (cause instanceof NoToken) return new ActionError("no-token", cause.message, { cause });
  const error = ConnectError.from(cause);
  const kind = ANSWERS[error.code] ?? "offline";
  const claim = kind === "claimed" ? error.findDetails(ClaimSchema)[0] : undefined;
  return new ActionError(kind, error.rawMessage, { cause, claim });
}
