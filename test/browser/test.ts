// What every browser test begins with: a site of its own, and a page of its console.
import { test as base, expect, type Page } from "@playwright/test";
import { Site } from "./site.ts";

interface Fixtures {
  hosts: string[]; // with their guests
  site: Site;
  troubles: string[]; // what pages complained about, violations of their policy among it
}

export const test = base.extend<Fixtures>({
  hosts: [["h1:web1", "h2:db1"], { option: true }],
  site: [
    async ({ hosts }, use, info) => {
      const site = await Site.start(hosts);
      await use(site);
      if (info.status !== info.expectedStatus) {
        for (const [name, text] of Object.entries(await site.logs())) await info.attach(name, { body: text });
      }
      await site.stop();
    },
    { timeout: 120_000 },
  ],
  baseURL: async ({ site }, use) => use(site.url),
  // A browser of its own for each test, in the site's network: a change of the machine's, such as
  // by another test's site, would have it give up its connections.
  context: async ({ playwright, site }, use) => {
    const env = { ...process.env, GABION_SITE: String(site.pid) } as Record<string, string>;
    const browser = await playwright.chromium.launch({ env });
    await use(await browser.newContext());
    await browser.close();
  },
  troubles: async ({ context }, use) => {
    const troubles: string[] = [];
    context.on("weberror", (e) => troubles.push(e.error().message));
    context.on("console", (m) => {
      // That a call was refused, tests see on the page.
      if (m.type() === "error" && !m.text().startsWith("Failed to load resource")) troubles.push(m.text());
    });
    await use(troubles);
    expect(troubles, "scripts and policies of the pages hold").toEqual([]);
  },
  page: async ({ context, troubles }, use) => {
    void troubles; // are watched from the first page on
    await use(await context.newPage());
  },
});

export { expect, type Page };
