// How a page looks: to axe, on a small screen, and in a picture.
import { AxeBuilder } from "@axe-core/playwright";
import { expect, type Page } from "@playwright/test";
import { writeFile } from "node:fs/promises";

export const schemes = ["light", "dark"] as const;
export type Scheme = (typeof schemes)[number];

// wear shows the page in a colour scheme, and waits until it does.
export async function wear(page: Page, scheme: Scheme) {
  await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
  await expect(page.locator("html")).toHaveAttribute("data-mantine-color-scheme", scheme);
  await settle(page);
}

// settle waits until nothing moves that ever stops.
async function settle(page: Page) {
  await page.evaluate(async () => {
    await document.fonts.ready;
    const ending = document.getAnimations().filter((a) => a.effect?.getComputedTiming().endTime !== Infinity);
    await Promise.all(ending.map((a) => a.finished.catch(() => undefined)));
  });
}

// audit holds the page against WCAG AA, as far as a program can tell. What fades in
// has its colours only when it is there, so what is found has to stay.
export async function audit(page: Page) {
  // Dialogs have a header of their own, which is no landmark of the page.
  const landmarks = ["landmark-no-duplicate-banner", "landmark-unique"];
  const told = async () => {
    const { violations } = await new AxeBuilder({ page }).disableRules(landmarks).analyze();
    return violations.map((v) => `${v.impact ?? ""} ${v.id}: ${v.nodes.map((n) => n.target.join(" ")).join(", ")}`);
  };
  await expect.soft.poll(told, { message: "axe finds nothing", timeout: 15_000 }).toEqual([]);
}

// fitsPhone holds that on a small screen nothing stands out to the side.
export async function fitsPhone(page: Page) {
  const usual = page.viewportSize() ?? { width: 1280, height: 900 };
  await page.setViewportSize({ width: 360, height: 740 });
  await settle(page);
  const width = () => page.evaluate(() => document.documentElement.scrollWidth);
  await expect.soft.poll(width, { message: "360 pixels are enough", timeout: 5_000 }).toBeLessThanOrEqual(360);
  await page.setViewportSize(usual);
  await settle(page);
}

const quality = 75; // of WebP, in percent

// picture writes what is on the screen to a file.
export async function picture(page: Page, file: string) {
  const browser = await page.context().newCDPSession(page);
  const { data } = await browser.send("Page.captureScreenshot", { format: "webp", quality });
  await browser.detach();
  await writeFile(file, Buffer.from(data, "base64"));
}
