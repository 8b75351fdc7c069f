import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { openGroup, signIn, useTemplate } from "../console.ts";
import { audit, fitsPhone, picture, schemes, wear } from "../look.ts";
import { commands, groupsOf, hosts } from "../plan.ts";
import type { Attempt, Machine, Site } from "../site.ts";
import { expect, test, type Page } from "../test.ts";

test.use({ hosts });

// View is a page, or something that opens on one.
interface View {
  name: string;
  path: string;
  reach: (page: Page, site: Site) => Promise<void>; // returns when there is something to see
}

test("every page is readable: by axe, light and dark, and at 360 pixels", async ({ page, site }, info) => {
  test.setTimeout(480_000);
  const pictures = process.env["GABION_SCREENSHOTS"] ?? info.outputPath("pictures");
  await mkdir(pictures, { recursive: true });
  await test.step("the site has a past", () => populate(site));
  await look(page, site, { name: "sign-in", path: "/", reach: shows("Sign in to Gabion") }, pictures);
  await signIn(page, site);
  for (const view of await pagesOf(site)) await look(page, site, view, pictures);
});

test("so is what opens on a page", async ({ page, site }) => {
  test.setTimeout(480_000);
  await populate(site);
  await page.goto("/");
  await signIn(page, site);
  for (const view of opening) await look(page, site, view);
});

// look examines a view; with a directory for pictures it takes some.
const look = (page: Page, site: Site, { name, path, reach }: View, pictures?: string) =>
  test.step(name, async () => {
    await page.goto(path);
    await reach(page, site);
    for (const scheme of schemes) {
      await wear(page, scheme);
      await audit(page);
      if (pictures) await picture(page, join(pictures, `${name}-${scheme}.webp`));
    }
    await fitsPhone(page);
  });

async function populate(site: Site) {
  for (const command of commands) await site.gabion(...command);
  for (const machine of site.machines) await site.gabion(...registration(machine));
  await site.gabion("organization", "create", "example");
  await site.gabion("key", "create", "terraform", "--scope", "rules", "--scope", "instances", "--expires-in", "2160h");
  const { mismatches } = await site.compare();
  expect(mismatches).toEqual([]);
  await site.open("psql", "app1", "db1", 5432);
  await site.open("replication", "db2", "db1", 5432);
}

const registration = ({ name, host, interface: device, mac, addresses }: Machine) => [
  ...["instance", "create", name, "--host", host, "--interface", device, "--mac", mac],
  ...["--ip", addresses.join(","), "--group", (groupsOf[name] ?? []).join(",")],
];

async function pagesOf(site: Site): Promise<View[]> {
  const id = async (kind: string, name: string) => {
    const all = JSON.parse(await site.gabion(kind, "list", "-o", "json")) as { id: string; name: string }[];
    return all.find((o) => o.name === name)?.id ?? "";
  };
  const [common, db1] = await Promise.all([id("group", "common"), id("instance", "db1")]);
  const allow = (page: Page) => expect(page.getByRole("link", { name: "in database-servers" })).toBeVisible();
  return [
    { name: "groups", path: "/groups", reach: hasHits },
    { name: "group", path: `/groups/${common}`, reach: shows("Who may reach its instances") },
    { name: "instances", path: "/instances", reach: lists("Instances", "cache1") },
    { name: "instance", path: `/instances/${db1}`, reach: lists("Open flows", "TCP") },
    { name: "map", path: "/map", reach: drawn },
    { name: "explain", path: "/explain?from=lb1&to=db1&protocol=tcp&port=5432", reach: allow },
    { name: "flows", path: "/flows?verdict=all", reach: busy },
    { name: "hosts", path: "/hosts", reach: lists("Hosts", "online") },
    { name: "activity", path: "/activity", reach: opened },
    { name: "keys", path: "/keys", reach: lists("Keys", "terraform") },
    { name: "organization", path: "/organization", reach: lists("Organizations", "example") },
  ];
}

const shows = (title: string | RegExp) => (page: Page) =>
  expect(page.getByRole("heading", { name: title }).first()).toBeVisible();

const lists = (table: string, text: string) => (page: Page) =>
  expect(page.getByRole("table", { name: table, exact: true })).toContainText(text);

const presses = (button: string, then: string) => async (page: Page) => {
  await page.getByRole("button", { name: button }).click();
  await expect(page.getByRole("button", { name: then })).toBeVisible();
};

const opening: View[] = [
  { name: "the map as a list", path: "/map?view=list", reach: lists("Map as a list", "database-servers") },
  { name: "a page that there is not", path: "/nowhere", reach: shows(/./) },
  { name: "keys", path: "/groups", reach: keyboard },
  { name: "palette", path: "/groups", reach: palette },
  { name: "new group", path: "/groups", reach: presses("New group", "Create") },
  { name: "new instance", path: "/instances", reach: presses("New instance", "Register") },
  { name: "new host", path: "/hosts", reach: presses("Let a host join", "Make a token") },
  { name: "new key", path: "/keys", reach: presses("New key", "Make the key") },
  { name: "new organization", path: "/organization", reach: presses("New organization", "Save") },
  { name: "warning", path: "/groups", reach: warned },
];

// hasHits waits until what was counted has arrived.
async function hasHits(page: Page) {
  const hits = page.getByRole("table", { name: "Groups" }).getByRole("row").filter({ hasText: "common" });
  await expect(async () => {
    await expect(hits.getByRole("cell").nth(4)).not.toHaveText("0", { timeout: 2_000 });
  }).toPass();
}

async function drawn(page: Page, site: Site) {
  await expect(page.getByRole("group", { name: "Map of groups" }).getByText("database-servers").first()).toBeVisible();
  await expect(async () => {
    await site.tryAll(scan());
    await expect(page.getByText(/denied \d/).first()).toBeVisible({ timeout: 2_000 });
  }).toPass();
}

let scanned = 1000; // the port up to which was scanned: the same conversation is told once a minute

function scan(): Attempt[] {
  return Array.from({ length: 3 }, () => ++scanned).flatMap((port) => [
    { from: "cache1", to: "db1", protocol: "tcp", port },
    { from: "outside", to: "db2", protocol: "tcp", port },
  ]);
}

const usual: Attempt[] = [
  { from: "lb1", to: "app2", protocol: "tcp", port: 8080 },
  { from: "app2", to: "cache1", protocol: "tcp", port: 6379 },
  { from: "outside", to: "lb2", protocol: "tcp", port: 80, ipv6: true },
];

async function busy(page: Page, site: Site) {
  const flows = page.getByRole("table", { name: "Flows" });
  await expect(async () => {
    await site.tryAll([...scan(), ...usual]);
    await expect(flows).toContainText("denied", { timeout: 2_000 });
    await expect(flows).toContainText("allowed", { timeout: 2_000 });
  }).toPass();
}

async function opened(page: Page) {
  const records = page.getByRole("table", { name: "Activity" });
  await records.getByRole("button", { name: /rule/ }).first().click();
  await expect(records.getByText("After")).toBeVisible();
}

async function keyboard(page: Page) {
  await expect(page.getByRole("table", { name: "Groups" })).toBeVisible();
  await page.keyboard.press("?");
  await expect(page.getByRole("dialog", { name: "Keys" })).toBeVisible();
}

async function palette(page: Page) {
  await expect(page.getByRole("table", { name: "Groups" })).toBeVisible();
  await page.keyboard.press("Control+k");
  await page.getByRole("textbox", { name: "Where to?" }).fill("db");
  await expect(page.getByRole("dialog")).toContainText("db1");
}

async function warned(page: Page) {
  await openGroup(page, "database-servers");
  await useTemplate(page, "SSH");
  await expect(page.getByRole("dialog", { name: "Open SSH to everybody?" })).toBeVisible();
}
