import { addRule, enforced, fillRule, openGroup, register, signIn, visit } from "../console.ts";
import { expect, test } from "../test.ts";

test("a form that fails keeps what was typed", async ({ page, site }) => {
  await page.goto("/");
  await signIn(page, site);
  await openGroup(page, "default");
  const form = await fillRule(page, { ports: "70000", peer: "no-such-group", description: "for the auditors" });
  const [ports, peer] = [
    form.getByLabel("Ports, or none for all"),
    form.getByRole("combobox", { name: "From", exact: true }),
  ];
  const add = form.getByRole("button", { name: "Add rule" });

  await test.step("what the page refuses", async () => {
    await add.click();
    await expect(form).toContainText("they go from 1 to 65535");
    await expect(peer).toHaveValue("no-such-group");
  });
  await test.step("what the server refuses", async () => {
    await ports.fill("8443");
    await add.click();
    await expect(page.getByText("no-such-group").first()).toBeVisible();
    await expect(ports).toHaveValue("8443");
    await expect(form.getByLabel("Description")).toHaveValue("for the auditors");
  });
  await test.step("what does not reach the server", async () => {
    await page.context().setOffline(true);
    await peer.fill("203.0.113.7");
    await add.click();
    await expect(page.getByRole("alert")).toContainText("The server can't be reached");
    await page.context().setOffline(false);
    await page.reload();
    await expect(peer).toHaveValue("203.0.113.7");
    await expect(form.getByLabel("Description")).toHaveValue("for the auditors");
  });
  await add.click();
  await enforced(page, "default: TCP 8443, from 203.0.113.7 added");
  await expect(ports).toHaveValue("");
});

const script = `<img src=x onerror="document.title='scripted'">`;

test("names can't script", async ({ page, site }) => {
  await page.goto("/");
  await signIn(page, site);
  await visit(page, "Groups");
  await page.getByRole("button", { name: "New group" }).click();
  const form = page.getByRole("form", { name: "New group" });
  await form.getByLabel("Name").fill(script);
  await form.getByLabel("Description").fill(script);
  await form.getByRole("button", { name: "Create" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText(script);
  await addRule(page, { ports: "80", peer: "203.0.113.7", description: script });
  await enforced(page, `${script}: HTTP, TCP 80, from 203.0.113.7 added`);
  await register(page, site.machine("web1"), [script]);
  for (const path of ["/groups", "/instances", "/map", "/map?view=list", "/activity", "/explain?from=web1&to=web1"]) {
    await page.goto(path);
    await expect(page.getByText(/onerror=|web1/).first()).toBeVisible();
    expect(await page.locator("img[src=x]").count()).toBe(0);
    expect(await page.title()).not.toBe("scripted");
  }
});

test("an operator sees the installation, a member the organization; who signs out is out", async ({ page, site }) => {
  await site.gabion("organization", "create", "tenant");
  const visitor = keyOf(await site.gabion("key", "create", "visitor", "--organization", "tenant", "--scope", "read"));
  const navigation = page.getByRole("navigation", { name: "Pages" });

  await test.step("an operator", async () => {
    await page.goto("/");
    await signIn(page, site);
    await visit(page, "Hosts");
    await expect(page.getByRole("table", { name: "Hosts" })).toContainText("h1");
    await visit(page, "Organization");
    await expect(page.getByRole("table", { name: "Organizations" })).toContainText("tenant");
  });
  await test.step("signing out ends the session, also for who kept the cookie", async () => {
    const kept = await page.context().cookies();
    expect(kept).toMatchObject([
      { name: "__Host-gabion", httpOnly: true, secure: true, sameSite: "Strict", path: "/" },
    ]);
    await page.getByRole("button", { name: "Account" }).click();
    await page.getByRole("menuitem", { name: "Sign out" }).click();
    await expect(page.getByRole("heading", { name: "Sign in to Gabion" })).toBeVisible();
    await page.context().addCookies(kept);
    await page.goto("/groups");
    await expect(page.getByRole("heading", { name: "Sign in to Gabion" })).toBeVisible();
    await page.context().clearCookies();
  });
  await test.step("a member of another organization who may read", async () => {
    await page.goto("/");
    await signIn(page, visitor);
    await expect(navigation.getByRole("link", { name: "Groups" })).toBeVisible();
    await expect(navigation.getByRole("link", { name: "Hosts" })).toHaveCount(0);
    await expect(page.getByRole("button", { name: "New group" })).toHaveCount(0);
    await openGroup(page, "default");
    await expect(page.getByRole("button", { name: "Add rule" })).toHaveCount(0);
    await visit(page, "Organization");
    await expect(page.getByRole("table", { name: "Quotas" })).toBeVisible();
    await expect(page.getByRole("table", { name: "Organizations" })).toHaveCount(0);
    await page.goto("/hosts");
    await expect(page.getByRole("alert")).toBeVisible();
  });
});

// keyOf reads the lines that a new key is printed as.
function keyOf(lines: string) {
  const value = (name: string) => RegExp(`^export ${name}='?([^'\n]*)`, "m").exec(lines)?.[1] ?? "";
  return { key: value("EXOSCALE_API_KEY"), secret: value("EXOSCALE_API_SECRET") };
}
