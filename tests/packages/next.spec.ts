// The packed package in Next: the server may import it, where it does nothing, and the page runs it.

import { expect, test } from "@playwright/test";
import { app, bin, command, fixture, serving } from "./stage.js";
import { complaints, outcomeOf, withOptions } from "./told.js";

test("built, rendered by the server, and told by the page", async ({ page }) => {
  const said = complaints(page);
  const folder = await app("next");
  await command(folder, bin(folder, "next"), "build");
  const server = await serving(folder, bin(folder, "next"), "start", "--hostname", "127.0.0.1", "--port", "0");
  try {
    expect(await outcomeOf(page, server.url)).toEqual({ text: fixture.text });
    await expect(page.locator("main")).toHaveAttribute("data-server", "function");
    expect(await outcomeOf(page, withOptions(server.url, { worker: false }))).toEqual({ text: fixture.text });
    const response = await page.request.get(`${server.url}api`);
    const { code, message, hint } = (await response.json()) as Record<string, string>;
    expect(code).toBe("unsupported");
    expect(message).toContain("Node.js");
    expect(hint).toContain("effect");
  } finally {
    await server.stop();
  }
  expect(said).toEqual([]);
});
