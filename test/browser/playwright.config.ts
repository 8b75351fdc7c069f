import { fileURLToPath } from "node:url";
import { defineConfig } from "@playwright/test";

const second = 1_000; // milliseconds

// Limits are for a machine that is busy with something else. What a test waits for
// is always a condition.
export default defineConfig({
  testDir: "journeys",
  outputDir: "test-results",
  fullyParallel: true,
  workers: 2,
  forbidOnly: process.env["CI"] === "true",
  reporter: [["list"]],
  timeout: 240 * second,
  expect: { timeout: 30 * second },
  use: {
    actionTimeout: 30 * second,
    navigationTimeout: 60 * second,
    ignoreHTTPSErrors: true, // the server signs its certificate by an authority of its own
    viewport: { width: 1280, height: 900 },
    contextOptions: { reducedMotion: "reduce" },
    screenshot: "only-on-failure",
    launchOptions: { executablePath: fileURLToPath(new URL("chromium", import.meta.url)) },
  },
});
