// The counter's day on the real services, with the log in SQLite and in PostgreSQL: who calls, what they book, and whom to call back.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { screenshot, until } from "./chromium.ts";
import { Floor, ringing, tap } from "./floor.ts";
import { popup } from "./shop.ts";

for (const store of ["sqlite", "postgres"]) {
  describe(store, () => {
    const floor = new Floor(() => ({ STORE: store }));

    test("the first popup has the name of an imported customer, and a regular's reservation takes five taps", async () => {
      const file = "이름,휴대폰,차량번호,메모,통화수\n김민수,010 1234 5678,12가 3456,하부 세차 꼭 확인,3\n";
      await floor.testbed.ringpad(["customers", "import", "-", "--store", floor.store.id], file);
      const [counter, office] = [await floor.pad("계산대"), await floor.pad("사무실")];
      const call = await floor.store.ring("010-1234-5678");
      for (const page of [counter, office]) {
        await ringing(page);
        assert.equal(await popup(page, call.id).locator(".popup-person").textContent(), "김민수 · 12가 3456");
        assert.match(await popup(page, call.id).innerText(), /4번째 전화[\s\S]*하부 세차 꼭 확인/);
      }
      await screenshot(counter, `counter-${store}-regular`);
      // The second ring comes while the first one's form is open.
      await tap(counter, call.id, "내가 응대");
      const other = await floor.store.ring("010-9999-0001");
      await popup(counter, other.id).waitFor();
      await popup(counter, call.id).getByLabel("서비스", { exact: true }).fill("실내 세차");
      for (const name of ["내일", "10시", "저장"]) await tap(counter, call.id, name);
      await office.locator(`#recent [data-call="${call.id}"]`, { hasText: "내일 10:00 · 실내 세차 · 12가 3456 · 김민수" }).waitFor();

      // The next ring offers the service, and needs one tap less.
      await call.answered();
      await other.answered();
      await tap(counter, call.id, "완료");
      const again = await floor.store.ring("010-1234-5678");
      const taps = ["내가 응대", "실내 세차", "내일", "11시", "저장"];
      for (const name of taps) await tap(counter, again.id, name);
      await office.locator(`#recent [data-call="${again.id}"]`, { hasText: "내일 11:00 · 실내 세차 · 12가 3456 · 김민수" }).waitFor();

      // The list of the day is the same on each pad, and stays true.
      for (const page of [counter, office]) {
        await page.getByRole("button", { name: "예약", exact: true }).click();
        await page.locator("#panel").getByRole("button", { name: "내일", exact: true }).click();
        await page.getByText("내일 예약 2건").waitFor();
      }
      await screenshot(office, `counter-${store}-reservations`);
      await office.locator(`.reservation[data-call="${call.id}"]`).getByRole("button", { name: "예약 취소" }).click();
      await counter.getByText("내일 예약 1건").waitFor();
      await office.getByRole("button", { name: "되돌리기" }).click();
      await counter.getByText("내일 예약 2건").waitFor();
    });

    test("five missed calls and one answered call of the same caller leave nothing open", async () => {
      const [counter, office] = [await floor.pad("계산대"), await floor.pad("사무실")];
      const missed = [];
      for (let count = 0; count < 5; count += 1) {
        const call = await floor.store.ring("010-2345-0001");
        await call.missed();
        missed.push(call.id);
      }
      for (const page of [counter, office]) {
        await until("five missed calls of one caller", async () => (await page.locator("#missed-count").textContent()) === "1");
        await page.locator("#missed", { hasText: "5번" }).waitFor();
      }
      const answered = await floor.store.ring("010-2345-0001");
      await answered.answered();
      for (const page of [counter, office]) await page.locator("#no-missed").waitFor({ state: "visible" });
      // Nor after a reload, when the calls come from a snapshot.
      await office.reload();
      await office.locator("#no-missed").waitFor({ state: "visible" });
    });

    test("who the caller is can be corrected on the page, and every pad shows it now and at the next call", async () => {
      await floor.testbed.ringpad(["customers", "import", "-", "--store", floor.store.id], "이름,휴대폰\n김민수,010-1234-0009\n");
      const [counter, office] = [await floor.pad("계산대"), await floor.pad("사무실")];
      const call = await floor.store.ring("010-1234-0009");
      await popup(counter, call.id).waitFor();
      await tap(counter, call.id, "내가 응대");
      await popup(counter, call.id).getByRole("button", { name: "손님 기록" }).click();
      const form = counter.locator("#panel .customer-form");
      assert.equal(await form.getByLabel("이름", { exact: true }).inputValue(), "김민수");
      await form.getByLabel("차량 번호", { exact: true }).fill("12가 3456");
      await form.getByRole("button", { name: "저장", exact: true }).click();
      await form.getByText("저장했습니다").waitFor();
      await screenshot(counter, `counter-${store}-customer`);
      await office.locator(`.popup[data-call="${call.id}"] .popup-person`, { hasText: "김민수 · 12가 3456" }).waitFor();
      await call.answered();
      const next = await floor.store.ring("010-1234-0009");
      await office.locator(`.popup[data-call="${next.id}"] .popup-person`, { hasText: "김민수 · 12가 3456" }).waitFor();
    });

    test("do-not-disturb on one pad: a call is listed there and not shown, and shown on the other; what still rings comes when it ends", async () => {
      const [quiet, office] = [await floor.pad("계산대"), await floor.pad("사무실")];
      await quiet.locator("#show-settings").click();
      await quiet.locator("#panel").getByRole("button", { name: "30분", exact: true }).click();
      const call = await floor.store.ring("010-2345-0002");
      await popup(office, call.id).waitFor();
      await quiet.locator(`#recent [data-call="${call.id}"]`).waitFor();
      assert.equal(await popup(quiet, call.id).count(), 0);
      await quiet.locator("#panel").getByRole("button", { name: "끄기", exact: true }).click();
      await popup(quiet, call.id).waitFor();
    });

    test("a call is found by its number in any form, by the name, the car and the note", async () => {
      const file = "id,name,number,car_number,note\n1,박지훈,02-555-0177,34나 7890,향 없는 왁스\n2,이영희,010-3333-4444,56다 1234,\n";
      await floor.testbed.ringpad(["customers", "import", "-", "--store", floor.store.id], file);
      const wanted = await floor.store.ring("02-555-0177");
      const other = await floor.store.ring("010-3333-4444");
      for (const call of [wanted, other]) await call.answered();
      const page = await floor.pad("계산대");
      const search = page.locator("#search");
      for (const typed of ["0177", "02-555-0177", "025550177", "박지훈", "지훈", "34나 7890", "34나7890", "왁스"]) {
        await search.fill(typed);
        await page.locator(`#found [data-call="${wanted.id}"]`).waitFor();
        assert.equal(await page.locator("#found [data-call]").count(), 1, typed);
      }
    });
  });
}
