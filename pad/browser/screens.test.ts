// A busy day's states, one after another, on each kind of screen. Two of them run with the other tests; all of them
// with `SCREENS=all`, for people who want to look: `SCREENSHOT_DIR=/tmp/screens SCREENS=all npm run test:browser -- screens`.

import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Page } from "playwright-core";
import { CallState, ClaimSchema } from "../src/gen/ringpad/v1/call_pb.ts";
import { padToken } from "./fake_actions.ts";
import { ring } from "./fake_server.ts";
import { looksRight } from "./looks.ts";
import { known, popup, settled, Shop, withoutSoundBanner } from "./shop.ts";

const shop = new Shop();
const FIRST = padToken("p1", "1번 카운터");
const EXPIRED = `a.${Buffer.from(JSON.stringify({ sub: "p1", exp: 1_700_000_000 })).toString("base64url")}.c`;
const SIZES = [{ width: 360, height: 740 }, { width: 800, height: 1280 }, { width: 1280, height: 800 }];
const KEYBOARD = 300;
const TESTED = ["360-light-ko", "1280-dark-en"];
const RINGS = 60_000;

const SCREENS = SIZES.flatMap((viewport) =>
  (["light", "dark"] as const).flatMap((colorScheme) =>
    (["ko-KR", "en-GB"] as const).map((locale) => ({
      name: `${viewport.width}-${colorScheme}-${locale.slice(0, 2)}`,
      options: { viewport, colorScheme, locale },
    })),
  ),
).filter(({ name }) => process.env["SCREENS"] === "all" || TESTED.includes(name));

/** Every call of that kind is over and dealt with. */
async function over(page: Page, ids: string[]): Promise<void> {
  for (const id of ids) shop.server.update({ id, state: CallState.COMPLETED, endedAt: timestampFromMs(Date.now()), closed: true });
  for (const id of ids) await popup(page, id).waitFor({ state: "detached" });
}

function rings(ids: string[], more = known): void {
  const numbers = ["010-1234-5678", "010-7777-8888", "0507-1234-5678", "02-555-0134"];
  ids.forEach((id, at) => shop.server.update(ring(id, numbers[at % numbers.length] ?? "", 9_000 - at * 700, at % 2 ? {} : more), RINGS));
}

for (const { name, options } of SCREENS) {
  test(`${name}: a busy day fits and can be read out`, async () => {
    const look = async (page: Page, state: string) => {
      await settled(page);
      await looksRight(page, `${name}-${state}`);
    };
    shop.storeADay();
    const page = await shop.pad(options, FIRST);
    await withoutSoundBanner(page);
    await shop.hasAsked();
    await look(page, "01-quiet");
    rings(["a"]);
    await popup(page, "a").waitFor();
    await look(page, "02-ringing");
    rings(["b", "c"]);
    await popup(page, "c").waitFor();
    await look(page, "03-three");
    await over(page, ["a", "b", "c"]);
    const ten = (prefix: string) => Array.from({ length: 10 }, (_, i) => `${prefix}${i}`);
    rings(ten("t"));
    await popup(page, "t9").waitFor();
    await look(page, "04-ten");
    await over(page, ten("t"));
    const claim = create(ClaimSchema, { padId: "p2", padName: "2번 카운터" });
    shop.server.update(ring("theirs", "010-1234-5678", 4_000, { ...known, claim }), RINGS);
    await popup(page, "theirs").waitFor();
    await look(page, "05-claimed-elsewhere");
    await over(page, ["theirs"]);
    const note = "흰색 카니발, 뒷좌석 얼룩이 심함. 아이 카시트 있음. 주말 오전 선호. ".repeat(8);
    shop.server.update(ring("mine", "010-1234-5678", 4_000, { ...known, history: { ...known.history, lastNote: note } }), RINGS);
    await popup(page, "mine").waitFor();
    await look(page, "06-long-note");
    await popup(page, "mine").locator(".popup-claim").click();
    await page.locator('.popup[data-call="mine"][data-holder="me"]').waitFor();
    await look(page, "07-claimed-here");
    const car = popup(page, "mine").locator("[name=car]");
    await car.fill("12가 3456");
    rings(["x", "y"]);
    await popup(page, "y").waitFor();
    await look(page, "08-ringing-while-writing");
    const { viewport } = options;
    await page.setViewportSize({ ...viewport, height: viewport.height - KEYBOARD });
    await car.scrollIntoViewIfNeeded();
    await look(page, "09-ringing-over-a-keyboard");
    rings(ten("u"));
    await popup(page, "u9").waitFor();
    await look(page, "10-ten-over-a-keyboard");
    await page.setViewportSize(viewport);
    await look(page, "11-ten-while-writing");
    await over(page, [...ten("u"), "x", "y"]);
    shop.server.away = true;
    shop.server.cut();
    await page.locator('#connection[data-state="reconnecting"]').waitFor();
    await popup(page, "mine").locator(".form-save").click();
    await page.locator("#advice").waitFor();
    await look(page, "12-saved-offline");
    shop.server.away = false;
    await popup(page, "mine").locator("[name=car]").waitFor();
    await page.locator('#connection[data-state="connected"]').waitFor();
    await page.locator("#missed .call-done").first().click();
    await page.locator("#undo").waitFor();
    await look(page, "13-undo");
  });

  test(`${name}: every reason why a tablet shows no calls fits and can be read out`, async () => {
    const none = await shop.open(options, "");
    await none.locator("#advice").waitFor();
    await looksRight(none, `${name}-14-no-token`);
    shop.server.refuseWith = 16;
    const expired = await shop.open(options, EXPIRED);
    await expired.locator("#advice").waitFor();
    await looksRight(expired, `${name}-15-expired-token`);
  });
}
