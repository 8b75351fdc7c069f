import { enforced, openGroup, register, signIn, useTemplate } from "../console.ts";
import type { Site } from "../site.ts";
import { expect, test, type Page } from "../test.ts";

const ssh = { from: "outside", to: "web1", protocol: "tcp", port: 22 } as const;
const web = { ...ssh, port: 80 };

test("after the first sign-in, one click opens SSH", async ({ page, site }) => {
  await page.goto("/");
  await signIn(page, site);
  await register(page, site.machine("web1"));
  expect(await site.tryAll([ssh, web]), "a new instance is closed").toEqual([false, false]);

  await openGroup(page, "default");
  await useTemplate(page, "SSH");
  const warning = page.getByRole("dialog", { name: "Open SSH to everybody?" });
  await warning.getByRole("button", { name: "Open it to everybody" }).click();
  await enforced(page, "default: SSH, TCP 22, from everybody (IPv4) added");
  expect(await site.tryAll([ssh, web]), "SSH is open, and nothing else").toEqual([true, false]);
});

test("so it does without a mouse", async ({ page, site }) => {
  await page.goto("/");
  await type(page, site.key);
  await page.keyboard.press("Tab");
  await type(page, site.secret);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1, name: "Groups" })).toBeFocused();

  await registerByKeys(page, site);
  expect(await site.tryAll([ssh, web]), "a new instance is closed").toEqual([false, false]);

  await tabTo(page, page.getByRole("link", { name: "Groups", exact: true }), "Shift+Tab");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1, name: "Groups" })).toBeFocused();
  await tabTo(page, page.getByRole("link", { name: "default", exact: true }));
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1, name: "default" })).toBeFocused();
  await tabTo(page, page.getByRole("button", { name: "SSH", exact: true }));
  await page.keyboard.press("Enter");
  await expect(page.getByRole("button", { name: "Open it to everybody" })).toBeFocused();
  await page.keyboard.press("Enter");
  await enforced(page, "default: SSH, TCP 22, from everybody (IPv4) added");
  expect(await site.tryAll([ssh, web]), "SSH is open, and nothing else").toEqual([true, false]);
});

async function registerByKeys(page: Page, site: Site) {
  const { name, host, interface: device, mac, addresses } = site.machine("web1");
  await tabTo(page, page.getByRole("link", { name: "Instances", exact: true }), "Shift+Tab");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1, name: "Instances" })).toBeFocused();
  await page.keyboard.press("n");
  for (const text of [name, host, device, mac, addresses.join(", ")]) {
    await type(page, text);
    await page.keyboard.press("Tab");
  }
  await tabTo(page, page.getByRole("button", { name: "Register" }));
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1, name })).toBeFocused();
  await expect(page.getByRole("status", { name: "Outcome" }).locator("[data-state=success]")).toBeVisible();
}

// type writes into the field that has the focus.
async function type(page: Page, text: string) {
  await expect(page.locator("input:focus")).toHaveValue("");
  await page.keyboard.type(text);
}

const patience = 60; // times that people press Tab

// tabTo goes on until the element has the focus.
async function tabTo(page: Page, element: ReturnType<Page["locator"]>, key = "Tab") {
  await expect(element).toBeVisible();
  for (let i = 0; i < patience; i++) {
    if (await element.evaluate((e) => e === document.activeElement)) return;
    await page.keyboard.press(key);
  }
  throw new Error(`${patience} times ${key} do not lead to ${String(element)}`);
}
