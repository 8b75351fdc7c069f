import { addRule, enforced, openGroup, register, signIn, visit } from "../console.ts";
import { expect, test, type Page } from "../test.ts";

const database = { from: "web1", to: "db1", protocol: "tcp", port: 5432 } as const;

test("Explain tells why a connection fails, and leads to what allows it", async ({ page, site }) => {
  await page.goto("/");
  await signIn(page, site);
  for (const [group, machine] of [
    ["web", "web1"],
    ["db", "db1"],
  ] as const) {
    await page.goto("/groups");
    await page.getByRole("button", { name: "New group" }).click();
    await page.getByRole("form", { name: "New group" }).getByLabel("Name").fill(group);
    await page.keyboard.press("Enter");
    await enforced(page, `Created the group ${group}`);
    await register(page, site.machine(machine), [group]);
  }
  await openGroup(page, "db");
  await addRule(page, { ports: "5433", peer: "web", description: "a slip" }); // the database is at 5432
  await enforced(page, "TCP 5433, from web added");
  expect(await site.passes(database), "the slip shows").toBe(false);

  await ask(page);
  const told = page.getByRole("region", { name: "Who is connected to" });
  await expect(page.getByText("Denied.")).toBeVisible();
  await expect(told).toContainText("no ingress rule admits it");
  await expect(told).toContainText("The programs on its host answer the same.");
  await expect(told.getByRole("listitem").filter({ hasText: "TCP 5433, from web" })).toContainText("but another port");

  await told.getByRole("link", { name: "in db" }).click();
  const form = page.getByRole("form", { name: "Add a rule: ingress" });
  await expect(form.getByLabel("Ports, or none for all")).toHaveValue("5432");
  await expect(form.getByRole("combobox", { name: "From", exact: true })).toHaveValue("web");
  await form.getByRole("button", { name: "Add rule" }).click();
  await enforced(page, "db: PostgreSQL, TCP 5432, from web added");
  expect(await site.passes(database), "what Explain led to helps").toBe(true);
  expect(await site.passes({ ...database, from: "outside" }), "and opens it to nobody else").toBe(false);

  await ask(page);
  await expect(page.getByText("Allowed.")).toBeVisible();
  await expect(told).toContainText("Its ingress is allowed by a rule of db");
  await expect(told).toContainText("its instance is a member of web");
  await expect(told).toContainText("The programs on its host answer the same.");
});

async function ask(page: Page) {
  await visit(page, "Explain");
  const form = page.getByRole("form", { name: "Connection" });
  await form.getByRole("combobox", { name: "From" }).fill(database.from);
  await form.getByRole("combobox", { name: "To", exact: true }).fill(database.to);
  await form.getByLabel("Port").fill("postgresql");
  await form.getByRole("button", { name: "Explain" }).click();
}
