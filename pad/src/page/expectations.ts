// What this pad's own taps will make of a call, shown before the server has answered. Each change lies over the call
// only until its action is over: then the call is what the server says, whichever way it went.

import type { Call } from "../gen/ringpad/v1/call_pb.ts";

type Change = (call: Call) => Call;

/** Changes that are under way. */
export class Expectations {
  readonly #changes = new Map<string, Change[]>();

  /** Lays `change` over the call; gives back what takes it away. */
  expect(id: string, change: Change): () => void {
    this.#changes.set(id, [...(this.#changes.get(id) ?? []), change]);
    return () => {
      const left = (this.#changes.get(id) ?? []).filter((other) => other !== change);
      if (left.length > 0) this.#changes.set(id, left);
      else this.#changes.delete(id);
    };
  }

  /** The call as it will be if all goes well. */
  of(call: Call): Call {
    return (this.#changes.get(call.id) ?? []).reduce((changed, change) => change(changed), call);
  }
}
