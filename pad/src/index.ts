// @ringpad/pad: the client, for the pad page and for other people's pages.

export { connect, type Pad, type PadAddress, type PadOptions, type RingingOptions } from "./client/connect.ts";
export { ActionError, type ActionFailure } from "./client/action_error.ts";
export type { CallPage, CallQuery, CustomerInit, NoteInit, ReservationQuery } from "./client/actions.ts";
export type { CallEvent, ConnectionListener, ConnectionState } from "./client/listener.ts";
export { NoToken, type PadIdentity, type TokenSource } from "./client/tokens.ts";
export type { TransportName } from "./client/transport.ts";
export { CallerKind, CallState, type Call, type Caller, type CallerHistory, type Claim, type Customer, type Reservation } from "./gen/ringpad/v1/call_pb.ts";
export type { Snapshot, StoreRef } from "./gen/ringpad/v1/pad_pb.ts";
