// Both languages: what must not be promised.

import assert from "node:assert/strict";
import { test } from "node:test";
import { en } from "../src/page/words_en.ts";
import { ko } from "../src/page/words_ko.ts";

test("an action without an answer is not said to have failed: it may have happened", () => {
  assert.match(ko.failed.offline, /확인하지 못했습니다/);
  assert.match(en.failed.offline, /could not be confirmed/);
});
