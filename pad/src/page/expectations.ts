// The expected result of this pad's actions, shown before the server has answered. Each change is applied to the call only
// until its action has ended: then the call is shown as the server has it.

import type { Call } from "../gen/ringpad/v1/call_pb.ts";

type Change = (call: Call) => Call;

/** Changes whose actions have not ended. */
export class Expectations {
  readonly #changes = new Map<string, Change[]>();

  /** Applies `change` to the call until the returned function is called. */
  expect(id: string, change: Change): () => void {
    this.#changes.set(id, [...(this.#changes.get(id) ?? []), change]);
    return () => {
      const left = (this.#changes.get(id) ?? []).filter((other) => other !== change);
      if (left.length > 0) this.#changes.set(id, left);
      else this.#changes.delete(id);
    };
  }

  /** The call as it will be if all actions succeed. */
  of(call: Call): Call {
    return (this.#changes.get(call.id) ?? []).reduce((changed, change) => change(changed), call);
  }
}
