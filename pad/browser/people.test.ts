// Who calls: a popup leads with the person, lists have the name, and a regular's reservation takes five taps.

import assert from "node:assert/strict";
import { test } from "node:test";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { create } from "@bufbuild/protobuf";
import { ReservationSchema, CallState } from "../src/gen/ringpad/v1/call_pb.ts";
import { until } from "./chromium.ts";
import { padToken } from "./fake_actions.ts";
import { ring } from "./fake_server.ts";
import { looksRight } from "./looks.ts";
import { known, popup, regular, settled, Shop, withoutSoundBanner } from "./shop.ts";

const shop = new Shop();
const FIRST = padToken("p1", "1번 카운터");
const couple = {
  ...known,
  customers: [
    { id: "c1", name: "김민수", carNumber: "12가 3456", note: "하부 세차 꼭 확인" },
    { id: "c2", name: "이영희", carNumber: "34나 7890", note: "향 없는 왁스" },
  ],
};
const SIZES = [{ width: 360, height: 740 }, { width: 800, height: 1280 }, { width: 1280, height: 800 }];

for (const viewport of SIZES) {
  test(`${viewport.width}: the popup leads with the customer, or all customers of a number; who is in nobody's records is new`, async () => {
    for (const colorScheme of ["light", "dark"] as const) {
      shop.storeADay();
      shop.server.store(ring("d9", "010-2222-1111", 5 * 60_000, { ...regular, state: CallState.MISSED }));
      const page = await shop.pad({ viewport, colorScheme }, FIRST);
      await withoutSoundBanner(page);
      shop.server.update(ring("a", "010-1234-5678", 9_000, regular), 60_000);
      await popup(page, "a").waitFor();
      assert.equal(await popup(page, "a").locator(".popup-person").textContent(), "김민수 · 12가 3456");
      assert.equal(await popup(page, "a").getByRole("heading").textContent(), "김민수 · 12가 3456010-1234-5678");
      assert.match(await popup(page, "a").locator(".popup-note").textContent() ?? "", /^하부 세차 꼭 확인\n흰색 카니발/);
      assert.equal(await page.title(), "☎ 김민수 010-1234-5678");
      await settled(page);
      await looksRight(page, `people-${viewport.width}-${colorScheme}-1-regular`);
      shop.server.update(ring("b", "010-7777-8888", 5_000, couple), 60_000);
      shop.server.update(ring("c", "02-555-0134", 2_000), 60_000);
      await popup(page, "c").waitFor();
      assert.deepEqual(await popup(page, "b").locator(".popup-person").allTextContents(), ["김민수 · 12가 3456", "이영희 · 34나 7890"]);
      assert.equal(await popup(page, "c").locator(".popup-headline").textContent(), "처음 전화한 손님");
      assert.equal(await page.locator('#missed [data-call="d9"] .call-name').textContent(), "김민수");
      await settled(page);
      await looksRight(page, `people-${viewport.width}-${colorScheme}-2-three`);
      await popup(page, "b").locator(".popup-claim").click();
      await popup(page, "b").getByRole("button", { name: "이영희 · 34나 7890" }).click();
      assert.equal(await popup(page, "b").getByLabel("차량 번호", { exact: true }).inputValue(), "34나 7890");
      await settled(page);
      await looksRight(page, `people-${viewport.width}-${colorScheme}-3-form`);
      await page.context().close();
      shop.server.forget();
    }
  });
}

test("a regular's reservation takes five taps, and a note alone makes no reservation", async () => {
  const page = await shop.pad({ viewport: { width: 800, height: 1280 } }, FIRST);
  await withoutSoundBanner(page);
  shop.server.update(ring("a", "010-1234-5678", 3_000, regular), 60_000);
  const card = popup(page, "a");
  const taps = ["내가 응대", "실내 세차", "내일", "10시", "저장"];
  for (const name of taps) await card.getByRole("button", { name, exact: true }).click();
  const saved = () => create(ReservationSchema, shop.server.call("a")?.reservation ?? {});
  await until("the reservation", () => saved().service !== "");
  const { customerName, carNumber, service, at } = saved();
  assert.deepEqual([customerName, carNumber, service], ["김민수", "12가 3456", "실내 세차"]);
  const hour = new Intl.DateTimeFormat("en-GB", { timeZone: "Asia/Seoul", hour: "2-digit", minute: "2-digit" });
  assert.equal(hour.format(at && timestampMs(at)), "10:00");
  shop.server.update(ring("b", "010-1234-5678", 3_000, regular), 60_000);
  await popup(page, "b").locator(".popup-claim").click();
  await popup(page, "b").getByLabel("메모", { exact: true }).fill("세차권 문의");
  await popup(page, "b").getByRole("button", { name: "저장", exact: true }).click();
  await until("the note", () => shop.server.call("b")?.note === "세차권 문의");
  assert.equal(shop.server.call("b")?.reservation, undefined);
  await popup(page, "b").getByText("저장했습니다").waitFor();
  assert.equal(await popup(page, "b").getByLabel("이름", { exact: true }).inputValue(), "김민수");
});

test("a ring does not overwrite what was typed instead of the customer's own name", async () => {
  const page = await shop.pad({}, FIRST);
  await withoutSoundBanner(page);
  shop.server.update(ring("a", "010-1234-5678", 3_000, regular), 60_000);
  await popup(page, "a").locator(".popup-claim").click();
  const name = popup(page, "a").getByLabel("이름", { exact: true });
  await name.fill("");
  await popup(page, "a").getByLabel("차량 번호", { exact: true }).fill("");
  shop.server.update({ id: "a", answeredAt: timestampFromMs(Date.now()), state: CallState.ANSWERED });
  shop.server.update(ring("b", "010-7777-8888", 0, regular), 60_000);
  await popup(page, "b").waitFor();
  await name.fill("박");
  assert.equal(await popup(page, "a").getByLabel("차량 번호", { exact: true }).inputValue(), "");
});
