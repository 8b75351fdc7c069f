import { signIn, visit } from "../console.ts";
import { expect, test, type Page } from "../test.ts";

const many = 250; // groups: their last page is far from the first

test("a jump down a long list arrives", async ({ page, site }) => {
  await page.goto("/");
  await signIn(page, site);
  await createGroups(page);
  await page.goto("/groups");
  const groups = page.getByRole("table", { name: "Groups" });
  await expect(groups).toHaveAttribute("aria-rowcount", String(many + 2)); // and default, and the header
  await expect(groups.getByRole("link", { name: "g000" })).toBeInViewport();
  await page.evaluate(() => window.scrollTo(0, document.documentElement.scrollHeight));
  await expect(groups.getByRole("link", { name: `g${many - 1}` })).toBeInViewport();
  await expect(groups.getByRole("link", { name: "g000" })).toHaveCount(0);
});

// createGroups makes g000, g001, … as a page would.
const createGroups = (page: Page) =>
  page.evaluate(async (many) => {
    for (let i = 0; i < many; i++) {
      const body = JSON.stringify({ name: `g${String(i).padStart(3, "0")}` });
      const headers = { "Content-Type": "application/json" };
      const { ok, status } = await fetch("/v2/security-group", { method: "POST", headers, body });
      if (!ok) throw new Error(`the server answered ${status}`);
    }
  }, many);

test("who reads what may be out of date is told so, until it is not", async ({ page, site }) => {
  await page.goto("/");
  await signIn(page, site);
  const stale = page.getByText("What is shown may be out of date");
  await expect(page.getByRole("table", { name: "Groups" })).toContainText("default");
  await expect(stale).toHaveCount(0);

  const restore = await answerAsStale(page);
  await visit(page, "Instances");
  await expect(stale).toContainText("too few members");
  await restore();
  await expect(stale).toHaveCount(0);

  await page.context().setOffline(true);
  await visit(page, "Hosts");
  await expect(stale).toContainText("The server can’t be reached");
  await page.context().setOffline(false);
  await expect(page.getByRole("table", { name: "Hosts" })).toContainText("h1");
  await expect(stale).toHaveCount(0);
});

// answerAsStale has the server answer as one that has too few members of its store.
async function answerAsStale(page: Page) {
  const browser = await page.context().newCDPSession(page);
  browser.on("Fetch.requestPaused", ({ requestId, responseStatusCode, responseHeaders = [] }) => {
    const marked = [...responseHeaders, { name: "Warning", value: '110 gabion "Response is Stale"' }];
    const answer = responseStatusCode ? { responseCode: responseStatusCode, responseHeaders: marked } : {};
    void browser.send("Fetch.continueResponse", { requestId, ...answer });
  });
  await browser.send("Fetch.enable", { patterns: [{ urlPattern: "*/v2/*", requestStage: "Response" }] });
  return () => browser.detach();
}

test("a session that ends leads to the next sign-in, and back", async ({ page, site }) => {
  await page.goto("/");
  await signIn(page, site);
  await expect(page.getByRole("table", { name: "Groups" })).toContainText("default");
  await page.context().clearCookies();
  await page.getByRole("link", { name: "Instances", exact: true }).click();
  await expect(page.getByRole("heading", { name: "Sign in to Gabion" })).toBeVisible();
  await signIn(page, site);
  await expect(page.getByRole("heading", { level: 1, name: "Instances" })).toBeVisible();
});
