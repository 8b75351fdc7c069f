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
  page: async ({ page, troubles }, use) => {
    void troubles; // is watched as long as the page is used
    await use(page);
  },
});

export { expect, type Page };
