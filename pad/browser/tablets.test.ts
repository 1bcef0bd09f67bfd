// Tablets on the real services, with the log in SQLite and in PostgreSQL: set up by a code, there the next morning, and revoked.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { BrowserContext, Page } from "playwright-core";
import { openPage, screenshot } from "./chromium.ts";
import { Floor } from "./floor.ts";
import { connected, popup } from "./shop.ts";

const shownCode = async (page: Page) => {
  await page.locator("#pairing-code").waitFor();
  return (await page.locator("#pairing-code").textContent()) ?? "";
};

for (const store of ["sqlite", "postgres"]) {
  describe(store, () => {
    const floor = new Floor(() => ({ STORE: store }));

    /** The page of a tablet, as its icon opens it. */
    async function open(context: BrowserContext): Promise<Page> {
      const page = await context.newPage();
      await page.goto(floor.testbed.url);
      return page;
    }

    const pair = (code: string, name: string) =>
      floor.testbed.ringpad(["pads", "pair", code, "--store", floor.store.id, "--name", name]);

    test("a fresh browser is set up by its code, shows a ring, and is there the next morning and in a second tab", async () => {
      const { page } = await openPage(floor.browser);
      await page.goto(floor.testbed.url);
      const code = await shownCode(page);
      assert.match(code, /^\d{3} \d{3}$/);
      await screenshot(page, `tablets-${store}-code`);
      // The page may be loaded again before somebody approves the code.
      await page.reload();
      assert.equal(await shownCode(page), code);
      await pair(code, "계산대");
      await connected(page);
      const call = await floor.store.ring("010-1234-0001");
      await popup(page, call.id).waitFor();
      await call.missed();
      // In the morning the tab is gone, and with it its token; only what the device keeps is there.
      const context = page.context();
      await page.close();
      const [morning, second] = [await open(context), await open(context)];
      for (const it of [morning, second]) await connected(it);
      assert.equal(await morning.evaluate(() => Object.keys(localStorage).includes("ringpad.credential")), true);
      const next = await floor.store.ring("010-1234-0002");
      for (const it of [morning, second]) await popup(it, next.id).waitFor();
    });

    test("a tablet is approved by a pad, and becomes one of the same store", async () => {
      const registered = await floor.pad("1번 카운터");
      const { page } = await openPage(floor.browser);
      await page.goto(floor.testbed.url);
      const code = (await shownCode(page)).replace(" ", "");
      await registered.goto(`${floor.testbed.url}/#pair=${code}`);
      await registered.getByLabel("태블릿 이름").fill("2번 카운터");
      await registered.getByRole("button", { name: "승인" }).click();
      await connected(page);
      assert.equal(await page.locator("#store").textContent(), await registered.locator("#store").textContent());
    });

    test("the page opens while no replica is there, says so, and comes back by itself", async () => {
      const { page } = await openPage(floor.browser, { serviceWorkers: "allow" });
      await page.goto(floor.testbed.url);
      await pair(await shownCode(page), "계산대");
      await connected(page);
      await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
      for (const replica of [0, 1, 2]) await floor.testbed.kill(replica);
      await page.reload();
      await page.locator("#connection").waitFor();
      assert.notEqual(await page.locator("#connection").getAttribute("data-state"), "connected");
      await screenshot(page, `tablets-${store}-without-server`);
      for (const replica of [0, 1, 2]) await floor.testbed.revive(replica);
      await connected(page);
      const call = await floor.store.ring("010-1234-0003");
      await popup(page, call.id).waitFor();
    });

    test("a revoked tablet has no calls any more, and shows a new code", async () => {
      const { page } = await openPage(floor.browser);
      await page.goto(floor.testbed.url);
      const code = await shownCode(page);
      await pair(code, "계산대");
      await connected(page);
      const tab = await page.context().newPage();
      await tab.goto(floor.testbed.url);
      await connected(tab);
      const call = await floor.store.ring("010-1234-0004");
      await popup(page, call.id).getByRole("button", { name: "내가 응대" }).click();
      for (const it of [page, tab]) {
        await popup(it, call.id).getByLabel("이름", { exact: true }).fill("김민수");
      }
      const listed = await floor.testbed.ringpad(["pads", "list", "--store", floor.store.id, "--json"]);
      const { id } = JSON.parse(listed) as { id: string };
      await floor.testbed.ringpad(["pads", "revoke", id]);
      assert.notEqual(await shownCode(page), code);
      await shownCode(tab);
      for (const it of [page, tab]) {
        await popup(it, call.id).waitFor({ state: "detached" });
        await it.locator("#pairing-code").waitFor();
        assert.equal(await it.locator("#lists").isVisible(), false);
        assert.doesNotMatch(await it.content(), /김민수|1234-0004/);
        const kept = await it.evaluate(() => JSON.stringify([Object.entries(localStorage), Object.entries(sessionStorage)]));
        assert.doesNotMatch(kept, /ringpad\.credential|김민수|ringpad\.drafts/);
      }
    });
  });
}
