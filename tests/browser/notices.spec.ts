// The page says whose work it carries, also without a connection.

import { expect, test } from "./page.js";

test("licences and notices are one click away, and kept for visits without a connection", async ({ context, page, demo }) => {
  await demo.open();
  await page.evaluate(() => navigator.serviceWorker.ready);
  await page.reload();
  await demo.loaded();
  await page.locator("#about-open").click();
  const link = page.getByRole("link", { name: /whose work this page carries/ });
  const address = new URL((await link.getAttribute("href")) ?? "", page.url()).href;
  await context.setOffline(true);
  const text = await page.evaluate(async (url) => (await fetch(url)).text(), address);
  for (const named of ["The NameLens authors", "burn-flex", "figtree", "bricolage-grotesque", "SIL OPEN FONT LICENSE"]) expect(text).toContain(named);
});
