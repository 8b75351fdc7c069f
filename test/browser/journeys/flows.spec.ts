import { enforced, openGroup, register, rules, signIn, useTemplate, visit } from "../console.ts";
import type { Attempt } from "../site.ts";
import { expect, test } from "../test.ts";

const scan: Attempt[] = [22, 80, 5432, 6379, 8080].map((port) => ({
  from: "outside",
  to: "db1",
  protocol: "tcp",
  port,
}));
const ssh = { from: "outside", to: "web1", protocol: "tcp", port: 22 } as const;

test("a scan is seen while it is denied", async ({ page, site }) => {
  await page.goto("/");
  await signIn(page, site);
  await register(page, site.machine("db1"));
  await visit(page, "Flows");
  const flows = page.getByRole("table", { name: "Flows" }).getByRole("row");
  await expect(page.getByText("Listening…")).toBeVisible();
  expect(await site.tryAll(scan)).not.toContain(true);
  for (const { port } of scan) {
    const denied = flows.filter({ hasText: RegExp(`db1 .*:${port}\\D.*203`) });
    await expect(denied).toContainText("denied");
    await expect(denied).toContainText("no ingress rule admits it");
    await expect(denied).toContainText(site.outside.addresses[0] ?? "");
  }

  await page.getByRole("searchbox", { name: "Filter" }).fill("db1 :6379");
  await expect(flows.filter({ hasText: ":6379" }).first()).toBeVisible();
  await expect(flows.filter({ hasText: ":8080" })).toHaveCount(0);
  await expect(page).toHaveURL(/search=/);

  await page.goto("/instances");
  await page.getByRole("link", { name: "db1", exact: true }).click();
  const drops = page
    .getByRole("table", { name: "Drops" })
    .getByRole("row")
    .filter({ hasText: "no ingress rule admits it" });
  await expect(drops).toBeVisible();
});

test("a rule is changed in the page, and a live connection's verdict changes", async ({ page, site }) => {
  await page.goto("/");
  await signIn(page, site);
  await register(page, site.machine("web1"));
  await openGroup(page, "default");
  await useTemplate(page, "SSH", "203.0.113.0/24");
  await enforced(page, "default: SSH, TCP 22, from 203.0.113.0/24 added");
  const hits = rules(page).getByRole("row").filter({ hasText: "SSH" }).getByRole("cell").nth(1);
  await expect(hits).toHaveText("0");

  await test.step("hits rise beside the rule", async () => {
    expect(await site.passes(ssh)).toBe(true);
    await expect(hits).not.toHaveText("0");
    const before = Number(await hits.textContent());
    expect(await site.passes(ssh)).toBe(true);
    await expect(async () => expect(Number(await hits.textContent())).toBeGreaterThan(before)).toPass();
  });

  await test.step("an allowed flow appears", async () => {
    const live = await page.context().newPage();
    await live.goto("/flows?verdict=allowed");
    await expect(live.getByText("Listening…")).toBeVisible();
    const flow = live.getByRole("table", { name: "Flows" }).getByRole("row").filter({ hasText: "web1" }).first();
    await expect(async () => {
      expect(await site.passes(ssh)).toBe(true); // hosts hear a moment later that somebody wants to know
      await expect(flow).toContainText("a rule of default", { timeout: 2_000 });
    }).toPass();
    await live.close();
  });

  await test.step("the rule goes, and with it the connection; it comes back, and so does the connection", async () => {
    await site.open("shell", "outside", "web1", 22);
    expect(await site.echo("shell", 10)).toBe(true);
    await page.getByRole("button", { name: "Delete SSH, TCP 22, from 203.0.113.0/24" }).click();
    const outcome = page.getByRole("status", { name: "Outcome" });
    await expect(outcome.locator("[data-state=success]")).toContainText("deleted");
    expect(await site.echo("shell", 1), "nothing passes any more").toBe(false);
    await outcome.getByRole("button", { name: "Undo" }).click();
    await enforced(page, "added again");
    expect(await site.echo("shell", 30), "the same connection goes on").toBe(true);
  });
});
